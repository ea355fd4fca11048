"""What a merge method is, and what it sees of the models."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

from pochade.files import LazyArray
from pochade.files.weights import BLOCK
from pochade.operations.casting import fillings, flat
from pochade.operations.sums import summed


@dataclass(frozen=True)
class Stack:
    """The same tensor of every model, with the weight and the settings that hold for it."""

    name: str
    tensors: Sequence[LazyArray]
    alpha: float
    settings: Mapping[str, float]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the tensor."""
        return self.tensors[0].info.shape

    @property
    def models(self) -> int:
        """How many there are."""
        return len(self.tensors)

    @property
    def columns(self) -> int:
        """Numbers for each index of the first dimension."""
        return max(1, prod(self.shape[1:]))

    def blocks(self) -> Iterator[Any]:
        """Go over the numbers once, as float32 tensors of [models, numbers] that may be overwritten: each is lost when
        the next is asked for. A method that must know more than one block asks for them again.
        """
        import torch

        together = torch.empty(self.models, at_a_time(self.models))
        rows = [fillings(row, flat(tensor)) for row, tensor in zip(together, self.tensors, strict=True)]
        for first, *_ in zip(*rows, strict=True):
            yield together[:, : len(first)]

    def rows(self) -> Iterator[Any]:
        """Go over the numbers once, as tensors of [models, rows, columns]: whole rows, one per first index."""
        for blocks in regrouped(self.blocks(), self.columns * max(1, at_a_time(self.models) // self.columns)):
            yield blocks.unflatten(1, (-1, self.columns))

    def sum(self, *factors: float) -> Iterator[Any]:
        """Add up the models, each times its factor: what a method does that does no more."""
        return summed(self.tensors, factors)


@dataclass(frozen=True)
class Method:
    """`merge(stack)` yields the merged numbers in order, in pieces of any size and in the stack's memory if it likes.

    It takes `least` models to `most`, or any number from there. `alpha` is its weight where none is given; at
    `neutral`, where there is such a weight, the first model stays as it is. `settings` are what else it takes, with the
    values that hold where none are given.
    """

    name: str
    title: str
    merge: Callable[[Stack], Iterator[Any]]
    least: int
    most: int | None = None
    alpha: float = 0.5
    neutral: float | None = 0.0
    settings: Mapping[str, float] = field(default_factory=dict)


def at_a_time(models: int) -> int:
    """Numbers of each model to handle at a time: few, as a method makes more of them for each model but the first."""
    return BLOCK // max(1, 2 * (models - 1))


def regrouped(pieces: Iterable[Any], size: int) -> Iterator[Any]:
    """Yield the same numbers in pieces of `size` along the last dimension; the last one may be shorter."""
    import torch

    left = None
    for piece in pieces:
        whole = piece if left is None else torch.cat([left, piece], dim=-1)
        parts = whole.split(size, dim=-1)
        full = whole.shape[-1] // size
        yield from parts[:full]
        left = parts[full].clone() if full < len(parts) else None
    if left is not None:
        yield left
