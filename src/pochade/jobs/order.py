"""The order of jobs that wait: higher priorities first, and among equal ones by a place that can be put in between."""

from sqlite3 import Connection
from typing import Any

from pochade.jobs import rows
from pochade.jobs.job import Job


def last(base: Connection) -> float:
    """A place behind all others."""
    return float(base.execute("SELECT COALESCE(MAX(place), 0) + 1 FROM jobs").fetchone()[0])


def place_before(base: Connection, job: Job, other: Job | None) -> dict[str, Any]:
    """Priority and place that put a job right before another one, or at the end of its own priority."""
    if other is None or other.id == job.id:
        return {} if other else {"place": last(base)}
    waiting = [each for each in _waiting(base, other.priority) if each[0] != job.id]
    at = [number for number, _ in waiting].index(other.id)
    after = waiting[at][1]
    before = waiting[at - 1][1] if at else after - 2
    middle = (before + after) / 2
    if not before < middle < after:  # no number is left between the two
        for place, (number, _) in enumerate(waiting, 1):
            rows.put(base, number, place=place)
        middle = at + 0.5
    return {"priority": other.priority, "place": middle}


def _waiting(base: Connection, priority: int) -> list[tuple[int, float]]:
    """Number and place of the jobs of a priority that wait, in order."""
    found = base.execute(
        f"SELECT id, place FROM jobs WHERE state = 'queued' AND priority = ? ORDER BY {rows.IN_ORDER}", [priority]
    )
    return [(number, place) for number, place in found]
