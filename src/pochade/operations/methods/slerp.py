"""Spherical interpolation: the direction of each tensor turns evenly from A to B, its length goes evenly with it.

Shoemake 1985, "Animating rotation with quaternion curves"; here every tensor is one vector.
"""

import math
from collections.abc import Iterator
from typing import Any

from pochade.operations.methods.method import Blocks, Method

_PARALLEL = 1e-6  # below this angle the sphere is flat


def _measure(pieces: Iterator[Blocks]) -> tuple[float, float, float]:
    """Lengths of both vectors and the angle between them."""
    squares = [0.0, 0.0, 0.0]
    for one, other in pieces:
        one, other = one.double(), other.double()
        for place, product in enumerate((one @ one, other @ other, one @ other)):
            squares[place] += float(product)
    lengths = math.sqrt(squares[0]), math.sqrt(squares[1])
    if not all(lengths):
        return *lengths, 0.0
    return *lengths, math.acos(max(-1.0, min(1.0, squares[2] / math.prod(lengths))))


def _combine(blocks: Blocks, alpha: float, measured: tuple[float, float, float]) -> Any:
    one, other, angle = measured
    sine = math.sin(angle)
    if sine < _PARALLEL:
        return blocks[0].lerp_(blocks[1], alpha)
    length = (1 - alpha) * one + alpha * other
    first = length * math.sin((1 - alpha) * angle) / sine / one
    second = length * math.sin(alpha * angle) / sine / other
    return blocks[0].mul_(first).add_(blocks[1], alpha=second)


slerp = Method("slerp", "spherical interpolation of every tensor", 2, _combine, _measure)
