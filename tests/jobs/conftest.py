import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest

from pochade.jobs.queue import Queue
from pochade.jobs.worker import Worker
from tests.jobs import pretend

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A queue's folder, whose jobs work beside it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POCHADE_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def queue(folder):
    """A queue for verbs that pretend to work."""
    found = Queue(folder, pretend.VERBS)
    yield found
    found.close()


@pytest.fixture
def working(queue, folder):
    """Within this context a worker does the jobs; it is in this process, on another thread."""

    @contextmanager
    def at_work(verbs=pretend.VERBS, lane="drawing"):
        other = Queue(folder, verbs)
        worker = Worker(other, lane, tell=lambda text: None)
        thread = Thread(target=worker.serve)
        thread.start()
        try:
            yield worker
        finally:
            worker.end()
            thread.join(20)
            other.close()

    return at_work


@pytest.fixture
def process(folder):
    """Start a worker in a process of its own."""
    started = []

    def start(idle=0.0):
        words = [sys.executable, "-m", "tests.jobs.pretend", str(folder), str(idle)]
        started.append(subprocess.Popen(words, cwd=ROOT, env=os.environ, stdout=subprocess.DEVNULL))
        return started[-1]

    yield start
    for each in started:
        each.kill()
        each.wait()


def until(condition, seconds=20):
    """Wait for something to become true."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)
    return found
