import pytest

from pochade.errors import FileError
from pochade.jobs.context import Bench, Context
from pochade.jobs.frames import Frames
from pochade.jobs.queue import Queue
from pochade.jobs.reporter import Reporter
from pochade.jobs.timings import Timings


@pytest.fixture(scope="session")
def bench():
    """A worker's, so that the shipped model is loaded once."""
    return Bench()


@pytest.fixture
def begun(folder, bench):
    """Add a job and begin it: its events, its context, and a look at what the queue knows of it."""
    queue = Queue(folder)

    def begin(verb, record):
        queue.add(verb, record)
        job = queue.claims.claim(queue.verbs[verb].lane, "test")
        context = Context(job, bench, Reporter(queue.claims, Frames(queue.places.frames), job), Timings(queue.database))
        return queue.verbs[verb].work()(job.record, context), context, lambda: queue.get(job.id)

    yield begin
    queue.close()


@pytest.fixture
def done(begun):
    """Do a job to its end."""

    def do(verb, record):
        events, context, look = begun(verb, record)
        for event in events:
            context.reporter.take(event)
        context.reporter.tell()
        return look()

    return do


@pytest.fixture
def told_of(begun):
    """Do a job that leaves out some files: what the queue knows of it, and what is told at the end."""

    def do(verb, record):
        events, context, look = begun(verb, record)
        with pytest.raises(FileError) as caught:
            for event in events:
                context.reporter.take(event)
        context.reporter.tell()
        return look(), str(caught.value)

    return do
