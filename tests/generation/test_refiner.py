"""A second model that takes over: from the first call on it draws what it draws alone, whatever it predicts."""

import numpy as np
import pytest

from pochade.errors import UsageError
from tests.golden.replay import model_file, pipeline

SMALL = {"width": 64, "height": 64, "steps": 4, "seed": 1, "sampler": "Euler", "schedule": "Uniform"}


def pixels(picture):
    return np.asarray(picture.image).astype(int)


def refined(base, refiner, **settings):
    return pixels(pipeline(base).txt2img("a cat", refiner=str(model_file(refiner)), **SMALL | settings))


@pytest.mark.parametrize(("base", "refiner"), [
    ("goldsd1", "goldsecond"), ("goldsd1", "goldsd2v"), ("goldsd2v", "goldsd1"),
])  # fmt: skip
@pytest.mark.parametrize("sampler", ["Euler", "DDIM"])
def test_a_refiner_from_the_start_draws_as_if_alone(base, refiner, sampler):
    alone = pixels(pipeline(refiner).txt2img("a cat", **SMALL | {"sampler": sampler}))
    assert np.abs(refined(base, refiner, refiner_switch_at=0.0, sampler=sampler) - alone).max() <= 1


def test_a_refiner_at_the_end_changes_nothing():
    alone = pixels(pipeline("goldsd1").txt2img("a cat", **SMALL))
    assert np.array_equal(refined("goldsd1", "goldsecond", refiner_switch_at=1.0), alone)


def test_a_refiner_is_tiled_too():
    tiled = pixels(pipeline("goldsecond").txt2img("a cat", tiling=True, **SMALL))
    assert np.abs(refined("goldsd1", "goldsecond", refiner_switch_at=0.0, tiling=True) - tiled).max() <= 1


def test_a_refiner_of_other_latents_is_refused():
    with pytest.raises(UsageError, match="same kind"):
        refined("goldsd1", "goldxl")
