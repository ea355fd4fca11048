"""A job: the complete record of a piece of long work, and how far it has come."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from pochade.errors import UsageError

State = Literal["queued", "running", "done", "failed", "stopped", "gone"]
Wish = Literal["", "stop", "finish", "skip"]

FINISHED: tuple[State, ...] = ("done", "failed", "stopped")
"""States from which nothing happens by itself."""
SHOWN: tuple[State, ...] = ("running", "queued", *FINISHED)
"""All states but that of a job that was cleared away, of which only `Queue.changes` tells."""


class UnknownJobError(UsageError):
    """There is no job with this number."""

    def __init__(self, number: int) -> None:
        super().__init__(f"There is no job {number}; `pochade jobs` shows those that there are.")


class SkippedError(UsageError):
    """The user skipped this part of the work; what comes after it is done."""

    def __init__(self) -> None:
        super().__init__("It was skipped.")


@dataclass(frozen=True)
class Progress:
    """`done` of `total` units of part number `part` + 1 of `parts` are finished; parts are pictures, cells, files."""

    done: int = 0
    total: int = 0
    unit: str = ""
    part: int = 0
    parts: int = 1
    loss: float | None = None
    seconds_left: float | None = None

    @property
    def fraction(self) -> float:
        """How much of the whole is finished, from 0 to 1."""
        within = self.done / self.total if self.total else 0.0
        return min(1.0, (self.part + min(1.0, within)) / max(1, self.parts))


@dataclass(frozen=True)
class Job:
    """A piece of long work. `record` says all that its verb needs to know; relative paths in it begin in `folder`.

    Higher priorities go first, and among equal ones the lower `place`. `attempts` counts how often it was begun since
    it last got a result. Each of the `results` has a `path`, and for pictures the seed and the size. `change` grows
    with every change of any job: what a watcher saw last.
    """

    id: int
    verb: str
    record: Mapping[str, Any]
    label: str = ""
    folder: str = ""
    state: State = "queued"
    priority: int = 0
    place: float = 0.0
    created: float = 0.0
    started: float | None = None
    finished: float | None = None
    attempts: int = 0
    progress: Progress = field(default_factory=Progress)
    warnings: tuple[str, ...] = ()
    results: tuple[Mapping[str, Any], ...] = ()
    error: str = ""
    exit_code: int | None = None
    worker: str = ""
    wish: Wish = ""
    change: int = 0

    @property
    def is_finished(self) -> bool:
        """Whether nothing more will happen to it by itself."""
        return self.state in FINISHED

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values."""
        return asdict(self) | {"progress": asdict(self.progress) | {"fraction": round(self.progress.fraction, 4)}}
