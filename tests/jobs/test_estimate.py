import subprocess
import sys
from dataclasses import replace

import pytest

from pochade.errors import FileError, UnknownNameError
from pochade.generation.request import Request
from pochade.jobs.estimate import estimate
from pochade.jobs.timings import Timing, Timings, work_of
from pochade.library.shipped import shipped_model

REQUEST = Request("a", steps=20, width=128, height=128, device="cpu")
MODEL = "sd1 1.8e+07"


@pytest.fixture
def model(queue):
    """What timings call the shipped model."""
    from pochade.jobs.estimate import _sizes
    from pochade.jobs.timings import speed_class

    sizes = _sizes(shipped_model())
    return speed_class(sizes.family, sizes.unet)


def test_without_history_nobody_knows_how_long_it_takes(queue):
    found = estimate(REQUEST, queue)
    assert (found.seconds, found.fits) == (None, True)
    assert shipped_model().stat().st_size * 1.5 < found.memory_bytes < 400_000_000  # the file is in halves


def test_memory_grows_with_the_size_and_shrinks_with_the_numbers(queue):
    small, large = (estimate(replace(REQUEST, width=side, height=side), queue).memory_bytes for side in (128, 512))
    assert large > 2 * small
    assert estimate(replace(REQUEST, dtype="bf16"), queue).memory_bytes < small * 0.6
    assert estimate(replace(REQUEST, hires=4), queue).memory_bytes == large


def test_what_does_not_fit_is_told(queue, monkeypatch):
    monkeypatch.setattr("pochade.jobs.estimate._free_memory", lambda queue: 1000)
    assert estimate(REQUEST, queue).fits is False
    monkeypatch.setattr("pochade.jobs.estimate._free_memory", lambda queue: None)
    assert estimate(REQUEST, queue).fits is None


def test_time_follows_from_what_others_took(queue, model):
    timings = Timings(queue.database)
    for seconds in (1.0, 2.0, 60.0):  # once the machine was busy
        timings.add(Timing(model, "cpu", "fp32", "Euler", work_of(REQUEST), seconds))
    assert estimate(REQUEST, queue).seconds == 2
    assert estimate(replace(REQUEST, steps=40, count=3), queue).seconds == 12
    assert estimate(replace(REQUEST, width=256), queue).seconds == 4
    assert estimate(replace(REQUEST, dtype="bf16"), queue).seconds is None


def test_the_same_sampler_counts_before_others(queue, model):
    timings = Timings(queue.database)
    timings.add(Timing(model, "cpu", "fp32", "Heun", work_of(REQUEST), 4.0))
    timings.add(Timing(model, "cpu", "fp32", "Euler", work_of(REQUEST), 2.0))
    assert estimate(replace(REQUEST, sampler="Heun"), queue).seconds == 4
    assert estimate(replace(REQUEST, sampler="DDIM"), queue).seconds == 3


def test_what_is_left_open_is_as_it_was_the_last_time(queue, model):
    Timings(queue.database).add(Timing(model, "cuda", "fp16", "Euler", work_of(REQUEST), 1.0, capacity=10**6))
    found = estimate(replace(REQUEST, device="auto"), queue)
    assert (found.seconds, found.fits) == (1, False)


def test_only_the_latest_timings_are_kept(queue, model, monkeypatch):
    monkeypatch.setattr("pochade.jobs.timings._KEPT", 3)
    timings = Timings(queue.database)
    for seconds in range(1, 9):
        timings.add(Timing(model, "cpu", "fp32", "Euler", 1.0, float(seconds)))
    assert timings.rate(model, "cpu", "fp32", "Euler") == 7


def test_work_is_steps_times_megapixels():
    request = Request("a", steps=10, width=1000, height=1000, count=2)
    assert work_of(request) == 20
    assert work_of(replace(request, image="a.png", strength=0.5)) == 10
    assert work_of(replace(request, hires=2, hires_steps=5)) == 60


def test_a_model_that_is_none_is_told(queue, tmp_path):
    with pytest.raises(UnknownNameError):
        estimate(replace(REQUEST, model="nome"), queue, [shipped_model().parent])
    (tmp_path / "x.safetensors").write_bytes(b"no model")
    with pytest.raises(FileError):
        estimate(replace(REQUEST, model=str(tmp_path / "x.safetensors")), queue)


def test_to_estimate_needs_no_torch(folder):
    code = (
        "import sys; from pochade.jobs import Queue; from pochade.jobs.estimate import estimate\n"
        "from pochade.generation.request import Request\n"
        "estimate(Request('a', device='cpu'), Queue()); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
