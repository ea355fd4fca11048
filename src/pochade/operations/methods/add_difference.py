"""A + alpha (B - C)."""

from collections.abc import Iterator
from typing import Any

from pochade.operations.methods.method import Method, Stack


def _merge(stack: Stack) -> Iterator[Any]:
    return stack.sum(1, stack.alpha, -stack.alpha)


add_difference = Method("add-difference", "A + alpha (B - C)", _merge, 3, 3)
