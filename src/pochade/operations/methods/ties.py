"""TIES: each tuned model keeps its largest differences from the base; where these disagree in sign, the weightier side.

Yadav et al. 2023, "TIES-Merging: Resolving Interference When Merging Models", arXiv 2306.01708; here every tensor is
trimmed by itself.
"""

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any

import numpy as np

from pochade.files.weights import Array
from pochade.operations.methods.deltas import agreed, deltas
from pochade.operations.methods.method import Method, Stack

_BITS = 11  # of a magnitude, found in each pass
_SHIFTS = (22, 11, 0)
_PATTERNS = 1 << _BITS


def _merge(stack: Stack) -> Iterator[Any]:
    cuts = _cuts(stack)
    for blocks in stack.blocks():
        base, differences = deltas(blocks)
        for difference, cut in zip(differences, cuts, strict=True):
            difference.mul_(difference.abs() >= cut)
        yield base.add_(agreed(differences), alpha=stack.alpha)


def _cuts(stack: Stack) -> list[float]:
    """The smallest magnitude that each tuned model keeps, exactly.

    Magnitudes are in the order of their bits, read as whole numbers. So each pass finds some more bits of the cut, the
    upper ones first, by counting how the magnitudes that begin like it go on; no difference need be kept.
    """
    keep = max(1, round(stack.settings["density"] * prod(stack.shape)))
    begins, wanted = [0] * (stack.models - 1), [keep] * (stack.models - 1)
    for shift in _SHIFTS:
        for number, counts in enumerate(_counts(stack, begins, shift)):
            pattern, wanted[number] = _reached(counts, wanted[number])
            begins[number] = begins[number] << _BITS | pattern
    cuts: list[float] = np.array(begins, np.int32).view(np.float32).tolist()
    return cuts


def _counts(stack: Stack, begins: Sequence[int], shift: int) -> Array:
    """How often each tuned model's magnitudes that begin with the given bits have each pattern of next bits."""
    counts = np.zeros((len(begins), _PATTERNS), np.int64)
    for blocks in stack.blocks():
        _, differences = deltas(blocks)
        for count, begin, bits in zip(counts, begins, differences.abs_().numpy().view(np.int32), strict=True):
            bits >>= shift
            count += np.bincount(bits[bits >> _BITS == begin] & (_PATTERNS - 1), minlength=_PATTERNS)
    return counts


def _reached(counts: Array, wanted: int) -> tuple[int, int]:
    """The pattern at which `wanted` numbers are reached from above, and how many of those it has to give."""
    reached = counts[::-1].cumsum()
    place = int(np.searchsorted(reached, wanted))
    pattern = _PATTERNS - 1 - place
    return pattern, wanted - int(reached[place] - counts[pattern])


ties = Method(
    "ties",
    "A + alpha times the mean of the others' largest differences that agree in sign",
    _merge,
    2,
    alpha=1.0,
    settings={"density": 0.2},
)
