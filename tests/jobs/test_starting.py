import os
import signal
import sys

import pytest

from pochade.jobs.queue import Queue
from pochade.jobs.starting import ensure_workers
from tests.jobs.conftest import until

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="it is watched by its signals")


@pytest.fixture
def own(folder):
    queue = Queue(folder)
    yield queue
    for lane in ("drawing", "files"):
        lock = queue.places.lock(lane)
        if lock.is_held():
            os.kill(lock.holder(), signal.SIGTERM)
            until(lambda lock=lock: not lock.is_held())
    queue.close()


def test_without_jobs_no_worker_is_started(own):
    own.pause()
    own.add("convert", {"source": "none.ckpt", "target": "x.safetensors"})
    assert ensure_workers(own) == []


def test_a_worker_is_started_for_each_lane_that_waits_and_lives_on_alone(own):
    job = own.add("convert", {"source": "none.ckpt", "target": "x.safetensors"})
    assert ensure_workers(own, idle=60) == ["files"]
    job = own.wait(job.id, 30)
    assert (job.state, job.exit_code) == ("failed", 3)
    assert "none.ckpt" in job.error
    lock = own.places.lock("files")
    assert os.getsid(lock.holder()) != os.getsid(0)
    own.add("extract", {"model": "none.ckpt", "target": "x.safetensors", "part": "vae"})
    assert ensure_workers(own) == []
    os.kill(lock.holder(), signal.SIGTERM)
    until(lambda: not lock.is_held())
    assert "1 convert: failed" in own.places.log("files").read_text()
