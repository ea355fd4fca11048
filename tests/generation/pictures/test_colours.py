import numpy as np
import pytest
from PIL import Image

from pochade.generation.pictures.colours import recoloured


def noisy(colour, seed=1, size=(32, 24)):
    """A picture of one colour with some noise."""
    noise = np.random.default_rng(seed).normal(0, 12, (size[1], size[0], 3))
    return Image.fromarray((np.array(colour) + noise).clip(0, 255).astype(np.uint8))


def mean(image):
    return np.asarray(image, dtype=float).mean((0, 1))


def test_a_picture_recoloured_like_itself_stays_as_it_is():
    image = noisy((120, 60, 200))
    change = np.abs(np.asarray(recoloured(image, image), dtype=int) - np.asarray(image))
    assert change.mean() < 2


def test_the_hue_becomes_the_other_one_and_the_luminosity_stays():
    weights = np.array([0.30, 0.59, 0.11])
    image, like = noisy((130, 120, 110)), noisy((90, 110, 190), seed=2)
    result = recoloured(image, like)
    assert mean(result)[2] > mean(result)[0] + 40
    assert mean(result) @ weights == pytest.approx(mean(image) @ weights, abs=4)


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (255, 0, 0)])
def test_plain_pictures_have_no_accidents(colour):
    result = np.asarray(recoloured(Image.new("RGB", (8, 8), colour), noisy((10, 200, 90))))
    assert result.shape == (8, 8, 3)
