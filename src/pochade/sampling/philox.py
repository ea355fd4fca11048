"""Philox 4x32-10 normal noise as NVIDIA's generator draws it, on any machine.

Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (2011).
"""

import math

import numpy as np
from numpy.typing import NDArray

_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_WEYL = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
# The two factors of the Box-Muller step are single-precision constants; everything after them is double.
_UNIT = float(np.float32(2.3283064e-10))
_TURN = float(np.float32(2.3283064e-10 * 6.2831855))

Words = NDArray[np.uint64]


class Philox:
    """One stream of normal noise. Values depend on the seed and on how many draws went before, not on their sizes."""

    def __init__(self, seed: int) -> None:
        self._key = (seed & 0xFFFFFFFF, (seed >> 32) & 0xFFFFFFFF)
        self._offset = 0

    def randn(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """The next draw: float32 normal noise of this shape."""
        first, second = _words(self._offset, math.prod(shape), self._key)
        self._offset += 1
        radius = np.sqrt(-2.0 * np.log(first * _UNIT + _UNIT / 2))
        values: NDArray[np.float32] = (radius * np.sin(second * _TURN + _TURN / 2)).astype(np.float32)
        return values.reshape(shape)


def _words(offset: int, count: int, key: tuple[int, int]) -> tuple[Words, Words]:
    """The first two output words of the cipher for elements 0..count-1; words live in the low halves of uint64."""
    a, b = np.full(count, offset, np.uint64), np.zeros(count, np.uint64)
    c, d = np.arange(count, dtype=np.uint64), np.zeros(count, np.uint64)
    for turn in range(_ROUNDS):
        left, right = (np.uint64((word + turn * weyl) & 0xFFFFFFFF) for word, weyl in zip(key, _WEYL, strict=True))
        p, q = a * _MULTIPLIERS[0], c * _MULTIPLIERS[1]
        a, b, c, d = (q >> _HALF) ^ b ^ left, q & _LOW, (p >> _HALF) ^ d ^ right, p & _LOW
    return a, b
