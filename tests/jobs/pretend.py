"""Verbs that only pretend to work, and a worker for them: `python -m tests.jobs.pretend FOLDER [IDLE]`."""

import os
import signal
import sys
import time
from pathlib import Path

from pochade.errors import MalformedFileError
from pochade.events import Made, Saved, Step, Warned
from pochade.jobs.__main__ import work
from pochade.jobs.job import SkippedError
from pochade.jobs.queue import Queue
from pochade.jobs.verbs import Verb
from pochade.jobs.worker import Worker


def count(record, context):
    """Steps of some seconds each."""
    for step in range(record.get("steps", 3)):
        time.sleep(record.get("pause", 0))
        yield Step(step + 1, record.get("steps", 3))


def parts(record, context):
    """Parts of some steps each; every one leaves a file, and those that are there are not made again."""
    made = {each["path"] for each in context.results}
    total = record["parts"]
    context.parts(total, len(made))
    for part in range(total):
        path = Path(f"part-{part}.txt").absolute()
        if str(path) in made:
            continue
        if part:
            context.next_part()
        try:
            for step in range(record.get("steps", 2)):
                time.sleep(record.get("pause", 0))
                yield Step(step + 1, record.get("steps", 2))
            with path.open("a") as file:
                file.write("made\n")
            yield Saved(path)
        except SkippedError:
            continue
        if record.get("kills_after") == part:
            os.kill(os.getpid(), signal.SIGKILL)


def dies(record, context):
    """Nothing survives it."""
    yield Step(1, 2)
    os.kill(os.getpid(), signal.SIGKILL)


def fails(record, context):
    """What is wrong with a record is raised."""
    yield Warned("It will not go well.")
    yield Warned("It will not go well.")
    yield Made(None)
    errors = {"file": MalformedFileError("a.ckpt", "is broken."), "memory": MemoryError(), "mistake": KeyError("x")}
    raise errors[record["how"]]


def settles(record, context):
    """Draws a lot once and for all."""
    if "lot" not in record:
        context.settle({"lot": os.getpid()})
        os.kill(os.getpid(), signal.SIGKILL)
    Path("lot.txt").write_text(str(record["lot"]))
    yield Saved(Path("lot.txt"))


VERBS = {
    "count": Verb("tests.jobs.pretend:count", "drawing"),
    "parts": Verb("tests.jobs.pretend:parts", "drawing", in_parts=True),
    "dies": Verb("tests.jobs.pretend:dies", "drawing"),
    "fails": Verb("tests.jobs.pretend:fails", "drawing"),
    "settles": Verb("tests.jobs.pretend:settles", "drawing"),
    "fetch": Verb("tests.jobs.pretend:count", "downloads"),
}


if __name__ == "__main__":
    queue = Queue(sys.argv[1], VERBS)
    work(Worker(queue, "drawing"), float(sys.argv[2]) if len(sys.argv) > 2 else 0.0)
