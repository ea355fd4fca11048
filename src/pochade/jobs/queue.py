"""The queue: add jobs, change those that wait, steer the one that runs, and watch what becomes of them."""

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from sqlite3 import Connection
from typing import Any

from pochade.errors import StoppedError, UsageError, shown
from pochade.jobs import order, rows
from pochade.jobs.claims import Claims
from pochade.jobs.database import Database
from pochade.jobs.frames import Frames
from pochade.jobs.job import FINISHED, SHOWN, Job, State, Wish
from pochade.jobs.places import Places
from pochade.jobs.verbs import VERBS, Verbs, verb_named
from pochade.library.own_folder import data_folder

_GLANCE = 0.05  # seconds between two looks for changes
_RECOVERING = 1.0  # seconds between two looks for workers that died
_LONGEST_LABEL = 200
_HIGHEST = 1000  # priority
_WORDS: dict[Wish, str] = {"stop": "be stopped", "finish": "be finished early", "skip": "go on with its next part"}


class Queue:
    """All jobs, in a folder of its own; the user's data folder if none is named. Safe for threads and processes.

    >>> Queue().add("convert", {"source": "a.ckpt", "target": "a.safetensors"})  # doctest: +SKIP
    """

    def __init__(self, path: Path | str | None = None, verbs: Verbs = VERBS) -> None:
        self.places = Places(Path(path) if path is not None else data_folder())
        self.verbs = verbs
        self.database = Database(self.places.database)
        self.claims = Claims(self.database)
        self._frames = Frames(self.places.frames)

    @property
    def notes(self) -> list[str]:
        """Sentences about what was wrong with the queue and was mended."""
        return self.database.notes

    def add(
        self, verb: str, record: Mapping[str, Any], label: str = "", priority: int = 0, folder: Path | str | None = None
    ) -> Job:
        """Put a job at the end of its priority; relative paths in its record begin in `folder`, or else here.

        Raises UsageError for a verb that nobody knows, or a record that is not made of plain values.
        """
        lane = verb_named(verb, self.verbs).lane
        _check_priority(priority)
        text = rows.record_text(record)
        label = shown(label)[:_LONGEST_LABEL]
        where = os.fsencode(os.path.abspath(folder or Path.cwd()))
        with self.database.at_work() as base:
            place = order.last(base)
            number = base.execute(
                "INSERT INTO jobs (verb, lane, record, label, folder, priority, place, created)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [verb, lane, text, label, where, priority, place, time.time()],
            ).lastrowid
            assert number is not None
            return rows.one(base, number)

    def get(self, number: int) -> Job:
        """One job. Raises UnknownJobError."""
        with self.database.looking() as base:
            return rows.one(base, number)

    def jobs(self, states: Iterable[State] | None = None, limit: int = 100) -> list[Job]:
        """The jobs that run, those that wait, in their order, and then those that ended, the latest first."""
        wanted = list(states) if states is not None else list(SHOWN)
        groups = ("state = 'running'", "state = 'queued'", "state NOT IN ('running', 'queued')")
        orders = ("id", rows.IN_ORDER, "change DESC")
        found: list[Job] = []
        with self.database.looking() as base:
            for group, within in zip(groups, orders, strict=True):
                rest = f"WHERE {group} AND state IN ({rows.marks(wanted)}) ORDER BY {within} LIMIT ?"
                found += rows.found(base, rest, [*wanted, max(0, limit - len(found))])
        return found

    def edit(self, number: int, record: Mapping[str, Any]) -> Job:
        """Give a job that waits another record. Raises UsageError when it waits no longer."""
        text = rows.record_text(record)
        with self._waiting(number, "be edited") as (base, _):
            rows.put(base, number, record=text)
        return self.get(number)

    def move(self, number: int, before: int | None = None) -> Job:
        """Put a job that waits before another one, whose priority it gets, or at the end of its own priority."""
        with self._waiting(number, "be moved") as (base, job):
            other = rows.one(base, before) if before is not None else None
            _check_waits(other or job, "have others put before it")
            rows.put(base, number, **order.place_before(base, job, other))
        return self.get(number)

    def prioritise(self, number: int, priority: int) -> Job:
        """Let a job that waits go before all of lower priority."""
        _check_priority(priority)
        with self._waiting(number, "get a priority") as (base, _):
            rows.put(base, number, priority=priority, place=order.last(base))
        return self.get(number)

    def cancel(self, number: int) -> Job:
        """Take out a job that has not begun; it stays in the history."""
        with self._waiting(number, "be cancelled; stop it") as (base, _):
            rows.end(base, number, "stopped", exit_code=StoppedError.exit_code)
        return self.get(number)

    def stop(self, number: int) -> Job:
        """Stop a job with the step that is being made, or take it out if it has not begun. What it saved stays."""
        if self.get(number).state == "queued":
            with suppress(UsageError):  # it may begin just now
                return self.cancel(number)
        return self._wish(number, "stop")

    def finish(self, number: int) -> Job:
        """Stop a running job when the picture, cell or file that it works on is finished."""
        return self._wish(number, "finish")

    def skip(self, number: int) -> Job:
        """Let a running job go on with the next picture, cell or file."""
        return self._wish(number, "skip")

    def retry(self, number: int) -> Job:
        """Put a job that failed or was stopped in once more. It goes on behind the results that it has."""
        with self.database.at_work() as base:
            job = rows.one(base, number)
            if job.state not in ("failed", "stopped"):
                raise UsageError(f"Job {number} is {job.state}; only what failed or was stopped can be tried again.")
            anew: dict[str, Any] = {"finished": None, "error": "", "exit_code": None, "warnings": "[]", "attempts": 0}
            rows.put(base, number, state="queued", place=order.last(base), **anew)
        return self.get(number)

    def clear(self, numbers: Iterable[int] | None = None) -> int:
        """Take jobs that ended out of the history, all of them if none are named; returns how many these were."""
        with self.database.at_work() as base:
            if numbers is None:
                query = f"SELECT id FROM jobs WHERE state IN ({rows.marks(FINISHED)})"
                numbers = [row[0] for row in base.execute(query, FINISHED)]
            wanted = sorted(set(numbers))
            for job in [rows.one(base, number) for number in wanted]:
                if not job.is_finished:
                    raise UsageError(f"Job {job.id} is {job.state}; only jobs that ended can be cleared away.")
                rows.forget(base, job.id)
        return len(wanted)

    def wait(self, number: int, timeout: float | None = None) -> Job:
        """The job when it has ended, or as it is after so many seconds."""
        for _ in self._glances(timeout):
            job = self.get(number)
            if job.is_finished:
                break
        return job

    def changes(self, since: int = 0, timeout: float = 0.0) -> tuple[int, list[Job]]:
        """The number of the latest change, and the jobs that changed after number `since`, waiting for one if need be.

        A job that was cleared away comes once in state "gone". Pausing counts as a change, though no job comes with it.
        """
        for _ in self._glances(timeout):
            number = self._fact("change")
            if number != since:
                break
        with self.database.looking() as base:
            last = since if since <= number else 0  # a new database counts from the beginning
            return number, rows.found(base, "WHERE change > ? AND change <= ? ORDER BY change", [last, number])

    def preview(self, number: int) -> bytes | None:
        """The latest unfinished picture of a running job as JPEG, if there is one. Asked again and again, it moves."""
        return self._frames.latest(number) if self.get(number).state == "running" else None

    def pause(self) -> None:
        """Begin no further job; what runs goes on."""
        self._set_paused(True)

    def resume(self) -> None:
        """Go on with the jobs that wait."""
        self._set_paused(False)

    @property
    def is_paused(self) -> bool:
        """Whether no further job is begun."""
        return bool(self._fact("is_paused"))

    def recover(self) -> None:
        """See to the jobs of workers that died: they wait again, or have failed if that happened before."""
        with self.database.looking() as base:
            names = [row[0] for row in base.execute("SELECT DISTINCT worker FROM jobs WHERE state = 'running'")]
        for name in names:
            lock = self.places.lock(name)
            if lock.acquire():
                try:
                    self.claims.reclaim(name)
                finally:
                    lock.release()

    def close(self) -> None:
        """Let the database go; it is opened again when it is needed."""
        self.database.close()

    @contextmanager
    def _waiting(self, number: int, what: str) -> Iterator[tuple[Connection, Job]]:
        """A piece of work on a job that must not have begun."""
        with self.database.at_work() as base:
            job = rows.one(base, number)
            _check_waits(job, what)
            yield base, job

    def _wish(self, number: int, wish: Wish) -> Job:
        with self.database.at_work() as base:
            job = rows.one(base, number)
            if job.state != "running":
                raise UsageError(f"Job {number} is {job.state}; only one that runs can {_WORDS[wish]}.")
            if wish != "stop" and job.verb in self.verbs and not self.verbs[job.verb].in_parts:
                raise UsageError(f"Job {number}, {job.verb}, is one piece of work; it can only be stopped.")
            if job.wish != "stop":
                rows.put(base, number, wish=wish)
        return self.get(number)

    def _glances(self, timeout: float | None) -> Iterator[None]:
        """Look at once, and then again and again for so many seconds, seeing to workers that died meanwhile."""
        now = begun = recovered = time.monotonic()
        yield
        while timeout is None or now - begun < timeout:
            time.sleep(_GLANCE)
            now = time.monotonic()
            if now - recovered >= _RECOVERING:
                self.recover()
                recovered = now
            yield

    def _fact(self, name: str) -> int:
        with self.database.looking() as base:
            return int(base.execute("SELECT value FROM facts WHERE name = ?", [name]).fetchone()[0])

    def _set_paused(self, is_paused: bool) -> None:
        with self.database.at_work() as base:
            base.execute("UPDATE facts SET value = ? WHERE name = 'is_paused'", [is_paused])
            base.execute("UPDATE facts SET value = value + 1 WHERE name = 'change'")


def _check_priority(priority: int) -> None:
    if not -_HIGHEST <= priority <= _HIGHEST:
        raise UsageError(f"The priority is {priority}; it must be from {-_HIGHEST} to {_HIGHEST}.")


def _check_waits(job: Job, what: str) -> None:
    if job.state != "queued":
        raise UsageError(f"Job {job.id} is {job.state}; it can no longer {what}.")
