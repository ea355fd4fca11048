"""Jobs as lines for people."""

import shutil
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pochade.jobs import Job

_HEAD = ("ID", "STATE", "VERB", "PROGRESS", "LABEL")
_GAP = "  "
_LEAST = 8  # columns for a label


def table(jobs: "Sequence[Job]") -> list[str]:
    """A line for each job; cut to the width of the terminal, if that is where they go."""
    rows = [_HEAD, *map(_row, jobs)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (_GAP.join(text.ljust(width) for text, width in zip(row, widths, strict=True)) for row in rows)
    if not sys.stdout.isatty():
        return [line.rstrip() for line in lines]
    most = max(shutil.get_terminal_size().columns, sum(widths[:-1]) + _LEAST)
    return [line.rstrip() if len(line.rstrip()) <= most else f"{line[: most - 1]}…" for line in lines]


def told(job: "Job") -> Iterator[str]:
    """All that people want to know of a job."""
    yield f"job {job.id}, {job.verb}: {job.state}"
    yield from (f"{name:<9}{value}" for name, value in _facts(job) if value)
    yield from (f"note     {warning}" for warning in job.warnings)
    yield from (f"saved    {result['path']}" for result in job.results)
    if job.error:
        yield f"error    {job.error}"


def _facts(job: "Job") -> Iterator[tuple[str, str]]:
    yield "label", job.label
    yield "folder", job.folder
    yield "priority", str(job.priority or "")
    yield "added", _time(job.created)
    yield "begun", _time(job.started)
    yield "ended", _time(job.finished)
    yield "progress", _progress(job)


def _row(job: "Job") -> tuple[str, str, str, str, str]:
    return str(job.id), job.state, job.verb, _progress(job), job.label if not job.error else job.error


def _progress(job: "Job") -> str:
    if job.state in ("queued", "done"):
        return f"{len(job.results)} saved" if job.results else ""
    left = job.progress.seconds_left if job.state == "running" else None
    return f"{job.progress.fraction:.0%}" + (f", {_duration(left)} left" if left else "")


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"


def _time(moment: float | None) -> str:
    return "" if moment is None else datetime.fromtimestamp(moment).isoformat(" ", "seconds")
