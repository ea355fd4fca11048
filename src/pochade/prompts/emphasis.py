"""What the weights of a prompt do to the output of the text encoder."""

from enum import StrEnum
from typing import Any, Protocol, Self, TypeVar

from pochade.errors import UnknownNameError


class Emphasis(StrEnum):
    """How weights are applied; NONE takes the brackets as text, IGNORE reads them and applies nothing."""

    ORIGINAL = "Original"
    NO_NORM = "No norm"
    IGNORE = "Ignore"
    NONE = "None"

    @classmethod
    def named(cls, name: str) -> "Emphasis":
        """The mode of that name, whatever its case."""
        for mode in cls:
            if mode.value.casefold() == name.casefold():
                return mode
        raise UnknownNameError("emphasis", name, [mode.value for mode in cls])


class Array(Protocol):
    """The little that numpy arrays and torch tensors have in common and that emphasis needs."""

    def __mul__(self, other: Any, /) -> Self:
        """Elementwise product."""

    def __truediv__(self, other: Any, /) -> Self:
        """Elementwise quotient."""

    def __getitem__(self, key: Any, /) -> Any:
        """Indexing; None adds an axis."""

    def mean(self) -> Any:
        """The mean of all elements."""


ArrayT = TypeVar("ArrayT", bound=Array)


def apply(mode: Emphasis, z: ArrayT, multipliers: ArrayT) -> ArrayT:
    """Weigh the encoded tokens `z` [batch, tokens, channels] by `multipliers` [batch, tokens].

    Original then rescales everything so that the mean of the whole array stays as it was.
    """
    if mode not in (Emphasis.ORIGINAL, Emphasis.NO_NORM):
        return z
    weighted: ArrayT = z * multipliers[..., None]
    if mode is Emphasis.ORIGINAL:
        weighted = weighted * (z.mean() / weighted.mean())
    return weighted
