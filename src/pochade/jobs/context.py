"""What a verb gets to know of its job beside the record, and what it tells while it works."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pochade.errors import FileError, ResourceError, StoppedError
from pochade.jobs.job import Job
from pochade.jobs.reporter import Reporter
from pochade.jobs.timings import Timing, Timings

if TYPE_CHECKING:
    from pochade.families.previews import Projection
    from pochade.generation.drawer import Drawer


class Bench:
    """What a worker keeps from one job to the next: the model that drew last."""

    def __init__(self) -> None:
        self._folders: tuple[Path, ...] = ()
        self._drawer: Drawer | None = None

    def drawer(self, folders: Sequence[Path]) -> "Drawer":
        """What draws with the models in some folders."""
        from pochade.generation.drawer import Drawer  # deferred: only some jobs draw

        found = tuple(each.absolute() for each in folders)
        if self._drawer is None or found != self._folders:
            self._folders, self._drawer = found, Drawer(found)
        return self._drawer

    def clear(self) -> None:
        """Make room for what needs all the memory."""
        if self._drawer:
            self._drawer.release()


@dataclass(frozen=True)
class Context:
    """A job that runs, the worker's bench, and those who hear of it."""

    job: Job
    bench: Bench
    reporter: Reporter
    timings: Timings

    @property
    def results(self) -> tuple[Mapping[str, Any], ...]:
        """What an earlier attempt, and this one, have made already."""
        return self.reporter.results

    def settle(self, record: Mapping[str, Any]) -> None:
        """Keep a record in which nothing is left to chance, for the next attempt if this one is cut off."""
        self.reporter.settle(record)

    def keep(self, result: Mapping[str, Any]) -> None:
        """Tell of a file that is complete: its `path`, and what else is to be known of it."""
        self.reporter.keep(result)

    def parts(self, total: int, done: int = 0) -> None:
        """Tell of how many parts the work is, and how many of them are done."""
        self.reporter.parts(done, total)

    def next_part(self) -> None:
        """Begin another part; the work ends here if somebody wanted that."""
        if self.reporter.wish() == "finish":
            raise StoppedError("Stopped behind what was finished.")
        self.reporter.next_part()

    def show_with(self, projection: "Projection") -> None:
        """Tell how unfinished pictures come to be seen."""
        self.reporter.projection = projection

    def timed(self, timing: Timing) -> None:
        """Remember how long some work took, for estimates."""
        with suppress(FileError, ResourceError):  # it would not be worth the work
            self.timings.add(timing)
