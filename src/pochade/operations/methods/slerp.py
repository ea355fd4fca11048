"""Spherical interpolation: the direction of each tensor turns evenly from A to B, its length goes evenly with it.

Shoemake 1985, "Animating rotation with quaternion curves"; here every tensor is one vector.
"""

import math
from collections.abc import Iterator
from typing import Any

from pochade.operations.methods.method import Method, Stack

_PARALLEL = 1e-6  # below this angle the sphere is flat


def _merge(stack: Stack) -> Iterator[Any]:
    first, second = _factors(stack)
    for a, b in stack.blocks():
        yield a.mul_(first).add_(b, alpha=second)


def _factors(stack: Stack) -> tuple[float, float]:
    """What both models are multiplied by."""
    one, other, angle = _measured(stack)
    alpha, sine = stack.alpha, math.sin(angle)
    if sine < _PARALLEL:
        return 1 - alpha, alpha
    length = (1 - alpha) * one + alpha * other
    return (
        length * math.sin((1 - alpha) * angle) / sine / one,
        length * math.sin(alpha * angle) / sine / other,
    )


def _measured(stack: Stack) -> tuple[float, float, float]:
    """Lengths of both vectors and the angle between them."""
    squares = [0.0, 0.0, 0.0]
    for blocks in stack.blocks():
        a, b = blocks.double()
        for place, product in enumerate((a @ a, b @ b, a @ b)):
            squares[place] += float(product)
    lengths = math.sqrt(squares[0]), math.sqrt(squares[1])
    if not all(lengths):
        return *lengths, 0.0
    return *lengths, math.acos(max(-1.0, min(1.0, squares[2] / math.prod(lengths))))


slerp = Method("slerp", "spherical interpolation of every tensor", _merge, 2, 2)
