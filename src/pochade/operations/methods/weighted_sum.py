"""A (1 - alpha) + B alpha."""

from collections.abc import Iterator
from typing import Any

from pochade.operations.methods.method import Method, Stack


def _merge(stack: Stack) -> Iterator[Any]:
    return stack.sum(1 - stack.alpha, stack.alpha)


weighted_sum = Method("weighted-sum", "A (1 - alpha) + B alpha", _merge, 2, 2)
