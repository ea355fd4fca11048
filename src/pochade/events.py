"""The small values that long work yields; progress bars, HTTP progress and previews only read them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias


@dataclass(frozen=True)
class Step:
    """`done` of `total` units of the work named `what` are finished."""

    done: int
    total: int
    what: str = "steps"
    loss: float | None = None


@dataclass(frozen=True)
class Preview:
    """An unfinished result: `latents` is a [batch, 4, height/8, width/8] tensor in the model's own scale."""

    latents: Any


@dataclass(frozen=True)
class Warned:
    """Something the user should know that did not stop the work."""

    message: str


@dataclass(frozen=True)
class Made:
    """One finished result, e.g. a Picture."""

    result: Any


@dataclass(frozen=True)
class Saved:
    """A file is complete under its final name."""

    path: Path


Event: TypeAlias = Step | Preview | Warned | Made | Saved
