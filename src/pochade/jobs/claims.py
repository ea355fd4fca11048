"""What workers do with the queue: take a job, tell how far it is, give it back or end it."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from sqlite3 import Connection
from typing import Any

from pochade.errors import ResourceError, StoppedError, shown
from pochade.jobs import rows
from pochade.jobs.database import Database
from pochade.jobs.job import Job, Progress, State, Wish

_MOST_ATTEMPTS = 2
_MOST_HISTORY = 1000  # jobs that ended
_MOST_GONE = 1000  # of which nothing is left
_ENDING: tuple[Wish, ...] = ("stop", "finish")
_MINE = "id = ? AND worker = ? AND state = 'running'"


@dataclass(frozen=True)
class Claims:
    """The side of the database that workers see. A worker is known by its name: it alone holds that name's lock.

    Work that the power cuts off is done again, so only results are written down for good at once.
    """

    database: Database

    def claim(self, lane: str, worker: str) -> Job | None:
        """Take the next job of a lane; None where none waits, or the queue is paused."""
        if not self.is_waiting(lane):  # most looks find nothing, and must not keep others from writing
            return None
        with self.database.at_work(hasty=True) as base:
            number = _next(base, lane)
            if number is None:
                return None
            base.execute("UPDATE jobs SET attempts = attempts + 1 WHERE id = ?", [number])
            rows.put(base, number, state="running", worker=worker, wish="", started=time.time(), progress="{}")
            return rows.one(base, number)

    def is_waiting(self, lane: str) -> bool:
        """Whether a job of a lane could be begun."""
        with self.database.looking() as base:
            return _next(base, lane) is not None

    def lanes_waiting(self) -> list[str]:
        """The lanes in which jobs could be begun."""
        with self.database.looking() as base:
            lanes = base.execute("SELECT DISTINCT lane FROM jobs WHERE state = 'queued'").fetchall()
        return [lane for (lane,) in lanes if self.is_waiting(lane)]

    def wish(self, job: Job) -> Wish:
        """What somebody wants of a job that runs: nothing, most often. A job that was taken away is to be stopped."""
        with self.database.looking() as base:
            row = base.execute(f"SELECT wish FROM jobs WHERE {_MINE}", [job.id, job.worker]).fetchone()
        found: Wish = row[0] if row else "stop"
        return found

    def grant(self, job: Job, wish: Wish) -> None:
        """Let a wish be fulfilled; another one that came meanwhile stays."""
        with self.database.at_work() as base:
            base.execute(f"UPDATE jobs SET wish = '' WHERE wish = ? AND {_MINE}", [wish, job.id, job.worker])

    def report(
        self, job: Job, progress: Progress, warnings: Sequence[str], results: Sequence[Mapping[str, Any]]
    ) -> None:
        """Write down how far a job is. `warnings` are all that there were, `results` those that are new.

        Raises StoppedError when it is this worker's job no longer.
        """
        with self.database.at_work(hasty=not results) as base:
            _check_mine(base, job)
            rows.put(base, job.id, progress=rows.progress_text(progress), warnings=rows.plain_text(list(warnings)))
            rows.keep_results(base, job.id, results)
            if results:
                rows.put(base, job.id, attempts=1)

    def settle(self, job: Job, record: Mapping[str, Any]) -> None:
        """Replace a job's record by one in which nothing is left to chance: a second attempt goes on with it."""
        with self.database.at_work() as base:
            _check_mine(base, job)
            rows.put(base, job.id, record=rows.record_text(record))

    def end(self, job: Job, state: State, error: str = "", exit_code: int = 0) -> None:
        """Let a job have ended, and the oldest history go."""
        with self.database.at_work(hasty=True) as base:
            if base.execute(f"SELECT 1 FROM jobs WHERE {_MINE}", [job.id, job.worker]).fetchone():
                rows.end(base, job.id, state, shown(error), exit_code)
                _forget_oldest(base)

    def give_back(self, job: Job) -> None:
        """Put a job that was taken back where it was, unless it was to be stopped anyway."""
        with self.database.at_work() as base:
            for mine in rows.found(base, f"WHERE {_MINE}", [job.id, job.worker]):
                _put_back(base, mine, attempts=mine.attempts - 1)

    def reclaim(self, worker: str) -> None:
        """See to jobs that a worker left when it died. Only who holds the worker's lock may do this."""
        with self.database.at_work() as base:
            for job in rows.found(base, "WHERE state = 'running' AND worker = ?", [worker]):
                if job.attempts < _MOST_ATTEMPTS or job.wish in _ENDING:
                    _put_back(base, job, attempts=job.attempts)
                else:
                    rows.end(base, job.id, "failed", _died(job), ResourceError.exit_code)


def _next(base: Connection, lane: str) -> int | None:
    """The number of the job that is to be done next."""
    row = base.execute(
        "SELECT id FROM jobs WHERE state = 'queued' AND lane = ? AND NOT"
        f" (SELECT value FROM facts WHERE name = 'is_paused') ORDER BY {rows.IN_ORDER} LIMIT 1",
        [lane],
    ).fetchone()
    return int(row[0]) if row else None


def _put_back(base: Connection, job: Job, attempts: int) -> None:
    if job.wish in _ENDING:
        rows.end(base, job.id, "stopped", exit_code=StoppedError.exit_code)
    else:
        rows.put(base, job.id, state="queued", worker="", wish="", started=None, attempts=attempts)


def _check_mine(base: Connection, job: Job) -> None:
    if not base.execute(f"SELECT 1 FROM jobs WHERE {_MINE}", [job.id, job.worker]).fetchone():
        raise StoppedError(f"Job {job.id} was taken away from {job.worker}.")


def _died(job: Job) -> str:
    return (
        f"The process that worked on this ended {job.attempts} times in the middle of it; most often memory ran out. "
        f"Make it smaller, or try again with `pochade jobs retry {job.id}`."
    )


def _forget_oldest(base: Connection) -> None:
    """Keep the history, and the traces of what was taken out of it, from growing without end."""
    ended = "SELECT id FROM jobs WHERE state IN ('done', 'failed', 'stopped') ORDER BY change DESC"
    for (number,) in base.execute(f"{ended} LIMIT -1 OFFSET {_MOST_HISTORY}").fetchall():
        rows.forget(base, number)
    gone = f"SELECT id FROM jobs WHERE state = 'gone' ORDER BY change DESC LIMIT -1 OFFSET {_MOST_GONE}"
    base.execute(f"DELETE FROM jobs WHERE id IN ({gone})")
