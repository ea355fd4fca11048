"""A worker: a process that does the jobs of one lane in turn, and keeps the model of the last one loaded."""

import sys
import time
import traceback
from collections.abc import Callable, Generator
from contextlib import chdir
from typing import NamedTuple

from pochade.errors import FileError, PochadeError, ResourceError, StoppedError, failure_of, is_out_of_memory
from pochade.events import Event
from pochade.jobs.context import Bench, Context
from pochade.jobs.frames import Frames
from pochade.jobs.job import Job, SkippedError, State
from pochade.jobs.queue import Queue
from pochade.jobs.reporter import Reporter
from pochade.jobs.timings import Timings
from pochade.jobs.verbs import verb_named

_PAUSE = 0.1  # seconds between two looks for a job
_STARTING = 2.0  # seconds in which one who only asked whether there is a worker lets the lock go
_RETRY = 1.0  # seconds until the next try where the disk is full
_KEEP_TRYING = 60  # seconds in which an outcome is written down where the disk is full
_MISTAKE = 1  # exit code


class _End(NamedTuple):
    """What became of a job; one that is queued again is begun again."""

    state: State
    sentence: str = ""
    code: int = 0


class Worker:
    """Does the jobs of a lane, as the one process that has this worker's name."""

    def __init__(self, queue: Queue, lane: str, name: str = "", tell: Callable[[str], None] = print) -> None:
        self.queue = queue
        self.lane = lane
        self.name = name or lane
        self._tell = tell
        self._bench = Bench()
        self._frames = Frames(queue.places.frames)
        self.is_ending = False

    def serve(self, idle: float | None = None) -> bool:
        """Do jobs until none came for `idle` seconds, or without end; tells whether it was the only one of its name."""
        lock = self.queue.places.lock(self.name)
        while lock.acquire(_STARTING):
            lock.sign()
            try:
                self.queue.claims.reclaim(self.name)
                self._serve(idle)
            finally:
                lock.release()
            # whoever added a job while the lock was held did not start another worker
            if self.is_ending or not self.queue.claims.is_waiting(self.lane):
                return True
        return False

    def end(self) -> None:
        """End with the step that is being made; its job goes back into the queue."""
        self.is_ending = True

    def _serve(self, idle: float | None) -> None:
        latest = time.monotonic()
        while not self.is_ending:
            job = self._claimed()
            if job:
                self._do(job)
                latest = time.monotonic()
            elif idle is not None and time.monotonic() - latest >= idle:
                return
            else:
                time.sleep(_PAUSE)

    def _claimed(self) -> Job | None:
        """The next job, if there is one; where the disk is full, nothing can be begun."""
        try:
            return self.queue.claims.claim(self.lane, self.name)
        except ResourceError as error:
            self._tell(str(error))
            time.sleep(_RETRY)
            return None

    def _do(self, job: Job) -> None:
        """Do a job and write down what became of it."""
        self._tell(f"{job.id} {job.verb}: begun")
        reporter = Reporter(self.queue.claims, self._frames, job)
        try:
            end = self._end_of(job, reporter)
        except KeyboardInterrupt:
            self.queue.claims.give_back(job)
            raise
        self._insist(job, reporter, end)
        self._frames.forget(job.id)
        self._tell(f"{job.id} {job.verb}: {end.state} {end.sentence}".rstrip())

    def _end_of(self, job: Job, reporter: Reporter) -> _End:
        """Work on a job, and tell how that ended."""
        try:
            with chdir(job.folder):
                self._work(job, reporter)
        except StoppedError as error:
            return _End("queued") if self.is_ending else _End("stopped", str(error), error.exit_code)
        except SkippedError:
            return _End("done")  # it was the last part
        except Exception as error:  # noqa: BLE001  # a mistake in one job must not take the others with it
            return self._failed(error)
        return _End("done")

    def _work(self, job: Job, reporter: Reporter) -> None:
        verb = verb_named(job.verb, self.queue.verbs)
        context = Context(job, self._bench, reporter, Timings(self.queue.database))
        events = verb.work()(job.record, context)
        try:
            event = next(events, None)
            while event is not None:
                reporter.take(event)
                event = self._next(events, reporter)
        finally:
            events.close()

    def _next(self, events: Generator[Event, None, None], reporter: Reporter) -> Event | None:
        """The next event; what somebody wants reaches the work where it has stopped to tell the last one."""
        wish = reporter.wish()
        error: PochadeError | None = None
        if self.is_ending or wish == "stop":
            error = StoppedError("Stopped.")
        elif wish == "skip":
            reporter.grant()
            error = SkippedError()
        try:
            return events.throw(error) if error else next(events, None)
        except StopIteration:
            return None

    def _failed(self, error: Exception) -> _End:
        if is_out_of_memory(error) or isinstance(error, ResourceError):
            self._bench.clear()
        failure = failure_of(error)
        if failure:
            return _End("failed", failure.sentence, failure.code)
        traceback.print_exception(error, file=sys.stderr)
        return _End("failed", f"This is a mistake in Pochade: {type(error).__name__}: {error}", _MISTAKE)

    def _insist(self, job: Job, reporter: Reporter, end: _End) -> None:
        """Write down how a job ended; a disk that is full just now may have room in a moment."""
        latest = time.monotonic() + _KEEP_TRYING
        while True:
            try:
                return self._write(job, reporter, end)
            except StoppedError:
                return None  # it was taken away
            except (FileError, ResourceError):
                if time.monotonic() >= latest or self.is_ending:
                    raise
                time.sleep(_RETRY)

    def _write(self, job: Job, reporter: Reporter, end: _End) -> None:
        reporter.tell()
        if end.state == "queued":
            self.queue.claims.give_back(job)
        else:
            self.queue.claims.end(job, end.state, end.sentence, end.code)
