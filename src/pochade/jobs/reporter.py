"""Tells the queue how a job goes on, often enough to be watched and seldom enough to cost nothing."""

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pochade.errors import FileError, ResourceError
from pochade.events import Event, Preview, Saved, Step, Warned
from pochade.jobs.claims import Claims
from pochade.jobs.frames import Frames
from pochade.jobs.job import Job, Progress, Wish

if TYPE_CHECKING:
    from pochade.families.previews import Projection

_TELL_EVERY = 0.2  # seconds
_LISTEN_EVERY = 0.05
_FRAME_EVERY = 0.1


class Reporter:
    """Follows the events of one job. With a `projection`, unfinished pictures are shown to those who look."""

    def __init__(self, claims: Claims, frames: Frames, job: Job) -> None:
        self.projection: Projection | None = None
        self.progress = Progress()
        self._claims = claims
        self._frames = frames
        self._job = job
        self._warnings = dict.fromkeys(job.warnings)
        self._results: dict[str, dict[str, Any]] = {str(each["path"]): dict(each) for each in job.results}
        self._untold: list[Mapping[str, Any]] = []
        self._clock = _Clock()
        self._wish: Wish = ""
        self._told = self._heard = self._framed = 0.0

    @property
    def results(self) -> tuple[Mapping[str, Any], ...]:
        """All files that are complete."""
        return tuple(self._results.values())

    def take(self, event: Event) -> None:
        """Note an event, and tell of it if it is time."""
        if isinstance(event, Step):
            self._step(event)
        elif isinstance(event, Preview):
            self._show(event)
        elif isinstance(event, Warned):
            self._warnings[event.message] = None
        elif isinstance(event, Saved):
            self.keep({"path": os.path.abspath(event.path)})
        if time.monotonic() - self._told >= _TELL_EVERY:
            with suppress(FileError, ResourceError):  # the next report tells this too
                self.tell()

    def tell(self) -> None:
        """Write all down. Raises StoppedError when the job was taken away."""
        self._told = time.monotonic()
        self._claims.report(self._job, self.progress, list(self._warnings), self._untold)
        self._untold = []

    def keep(self, result: Mapping[str, Any]) -> None:
        """Note a file that is complete, and tell of it at once."""
        path = str(result["path"])
        self._results[path] = self._results.get(path, {}) | dict(result)
        self._untold.append(self._results[path])
        with suppress(FileError, ResourceError):
            self.tell()

    def settle(self, record: Mapping[str, Any]) -> None:
        """Keep another record."""
        self._claims.settle(self._job, record)

    def parts(self, done: int, total: int) -> None:
        """Count the parts of the work."""
        self.progress = replace(self.progress, part=done, parts=total)
        self._clock = _Clock()

    def next_part(self) -> None:
        """One more part is done."""
        part = min(self.progress.part + 1, self.progress.parts)
        self.progress = replace(self.progress, part=part, done=0, total=0)

    def wish(self) -> Wish:
        """What is wanted of the job, as it was a moment ago."""
        now = time.monotonic()
        if now - self._heard >= _LISTEN_EVERY:
            self._heard = now
            with suppress(FileError, ResourceError):
                self._wish = self._claims.wish(self._job)
        return self._wish

    def grant(self) -> None:
        """Let the wish be fulfilled."""
        self._claims.grant(self._job, self._wish)
        self._wish = ""

    def _step(self, step: Step) -> None:
        self.progress = replace(self.progress, done=step.done, total=step.total, unit=step.what, loss=step.loss)
        self.progress = replace(self.progress, seconds_left=self._clock.left(self.progress.fraction))

    def _show(self, event: Preview) -> None:
        now = time.monotonic()
        if self.projection is None or now - self._framed < _FRAME_EVERY or not self._frames.is_wanted(self._job.id):
            return
        from pochade.generation.preview import preview  # deferred: torch is there when there is something to show

        self._framed = now
        with suppress(OSError):  # a picture on its way is not worth the work
            self._frames.show(self._job.id, preview(event.latents, self.projection))


class _Clock:
    """Tells from what was done how long the rest takes."""

    def __init__(self) -> None:
        self._first: tuple[float, float] | None = None

    def left(self, fraction: float) -> float | None:
        """Seconds until all is done; None as long as nobody can know."""
        now = time.monotonic()
        if self._first is None:
            self._first = (now, fraction)
        begun, before = self._first
        if fraction <= before:
            return None
        return round((now - begun) * (1 - fraction) / (fraction - before), 1)
