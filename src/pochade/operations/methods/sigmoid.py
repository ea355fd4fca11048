"""The weighted sum along an S-curve: near either end of alpha the nearer model keeps more."""

from collections.abc import Iterator
from typing import Any

from pochade.operations.methods.method import Method, Stack


def _merge(stack: Stack) -> Iterator[Any]:
    share = stack.alpha**2 * (3 - 2 * stack.alpha)
    return stack.sum(1 - share, share)


sigmoid = Method("sigmoid", "weighted sum along the S-curve 3 alpha^2 - 2 alpha^3", _merge, 2, 2)
