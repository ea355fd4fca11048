"""A job that another process works on, as the events that it would yield here."""

from collections.abc import Iterator
from pathlib import Path

from pochade.events import Event, Saved, Step, Warned
from pochade.jobs.job import Job
from pochade.jobs.queue import Queue
from pochade.jobs.starting import ensure_workers

_PATIENCE = 1.0  # seconds between two looks whether there is still a worker


def watching(queue: Queue, number: int) -> Iterator[Event]:
    """What happens in a job until it ends; sees to it that there is a worker. Raises UnknownJobError."""
    seen = queue.get(number)
    yield from _news(None, seen)
    while not seen.is_finished:
        ensure_workers(queue)
        _, changed = queue.changes(seen.change, _PATIENCE)
        job = next((each for each in changed if each.id == number), None)
        if job is None:
            seen = queue.get(number)
        else:
            yield from _news(seen, job)
            seen = job


def _news(before: Job | None, job: Job) -> Iterator[Event]:
    """What a job tells now and did not tell before."""
    yield from map(Warned, job.warnings[len(before.warnings) if before else 0 :])
    yield from (Saved(Path(each["path"])) for each in job.results[len(before.results) if before else 0 :])
    progress = job.progress
    if progress.total and (before is None or progress != before.progress):
        parts = f"{progress.part + 1} of {progress.parts}, " if progress.parts > 1 else ""
        yield Step(progress.done, progress.total, f"{parts}{progress.unit}", progress.loss)
