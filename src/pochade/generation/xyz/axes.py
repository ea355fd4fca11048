"""The axes of a grid: what each changes, and its values."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pochade.errors import UsageError
from pochade.generation.rules import shown
from pochade.generation.xyz.axis_kinds import AxisKind, Styles, find_kind


@dataclass(frozen=True)
class Axis:
    """One side of a grid: a kind of change, the text of its values as it was given, and the values.

    >>> Axis.read("steps=10-30 [3]").values
    (10, 20, 30)
    """

    kind: AxisKind
    text: str
    values: tuple[Any, ...]

    @classmethod
    def read(cls, text: str, known: Styles | None = None) -> "Axis":
        """Read NAME=VALUES, with the styles that are known. Raises UsageError, which names the axis."""
        name, equals, given = text.partition("=")
        if not equals:
            raise UsageError(f"The axis {shown(text)} must be NAME=VALUES, such as 'Steps=10,20,30'.")
        return cls.of(find_kind(name.strip(), known), given)

    @classmethod
    def of(cls, kind: AxisKind, text: str) -> "Axis":
        """An axis of a kind, with the values that a text says."""
        try:
            values = tuple(kind.read(text))
        except UsageError as error:
            raise UsageError(f"The axis {kind.label}: {error}") from error
        if values in ((), ((),)):
            advice = "; a range downwards needs a step, such as 9-1 (-2)" if "-" in text else ""
            raise UsageError(f"The axis {kind.label}: {shown(text)} holds no value{advice}.")
        return cls(kind, text, values)

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """What a legend says of each value; files of one name are told apart by their folders."""
        labels = tuple(map(self.kind.show, self.values))
        return labels if len(set(labels)) >= len(set(self.values)) else tuple(map(str, self.values))

    @property
    def is_there(self) -> bool:
        """Whether it changes anything."""
        return self.kind.label != NOTHING.kind.label

    @property
    def is_seed(self) -> bool:
        """Whether its values are seeds, which may be left to chance."""
        return self.kind.field in ("seed", "variation_seed")


NOTHING = Axis.of(find_kind("Nothing"), "")
