"""What a merge method is."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

Blocks = Sequence[Any]
"""The same numbers of every model: float32 tensors that may be overwritten."""


@dataclass(frozen=True)
class Method:
    """`combine(blocks, alpha, measured)` returns the merged numbers, in one of the blocks if it likes.

    A method that must know a tensor whole before it can combine says so by `measure`, which sees all its blocks first.
    """

    name: str
    title: str
    models: int
    combine: Callable[[Blocks, float, Any], Any]
    measure: Callable[[Iterator[Blocks]], Any] | None = None
