import os
import time
from io import BytesIO

import pytest
import torch
from PIL import Image

from pochade.events import Preview
from pochade.families.previews import SD
from pochade.jobs.frames import Frames
from pochade.jobs.reporter import Reporter


@pytest.fixture
def frames(tmp_path):
    return Frames(tmp_path / "frames")


def test_frames_are_wanted_as_long_as_somebody_asks(frames):
    assert not frames.is_wanted(7)
    assert frames.latest(7) is None
    assert frames.is_wanted(7)
    assert not frames.is_wanted(8)
    old = time.time() - 60
    os.utime(frames.folder / "7.wanted", (old, old))
    assert not frames.is_wanted(7)


def test_the_latest_frame_takes_the_place_of_the_one_before(frames):
    frames.latest(7)
    for colour in ("red", "blue"):
        frames.show(7, Image.new("RGB", (16, 8), colour))
    image = Image.open(BytesIO(frames.latest(7)))
    assert (image.format, image.size) == ("JPEG", (16, 8))
    assert image.getpixel((0, 0))[2] > 200
    frames.forget(7)
    assert list(frames.folder.iterdir()) == []


def test_latents_are_shown_only_while_somebody_looks(queue, frames):
    queue.add("count", {})
    job = queue.claims.claim("drawing", "drawing")
    reporter = Reporter(queue.claims, frames, job)
    frames.latest(job.id)
    reporter.take(Preview(torch.zeros(1, 4, 8, 8)))
    assert frames.latest(job.id) is None  # nobody knows yet how they look
    reporter.projection = SD
    reporter.take(Preview(torch.zeros(1, 4, 8, 8)))
    assert Image.open(BytesIO(frames.latest(job.id))).size == (8, 8)
    frames.forget(job.id)
    time.sleep(0.11)
    reporter.take(Preview(torch.zeros(1, 4, 8, 8)))
    assert not list(frames.folder.glob("*.jpg"))


def test_only_a_job_that_runs_has_a_preview(queue):
    job = queue.add("count", {})
    assert queue.preview(job.id) is None
    claimed = queue.claims.claim("drawing", "drawing")
    assert queue.preview(job.id) is None
    Frames(queue.places.frames).show(job.id, Image.new("RGB", (8, 8)))
    assert queue.preview(job.id).startswith(b"\xff\xd8")
    queue.claims.end(claimed, "done")
    assert queue.preview(job.id) is None
