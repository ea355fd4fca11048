import numpy as np
from PIL import Image

from pochade.generation.pictures.matched_noise import with_matched_noise
from pochade.sampling.philox import Philox

SIZE = 64


def mask(columns=32):
    values = np.zeros((SIZE, SIZE), dtype=np.uint8)
    values[:, columns:] = 255
    return Image.fromarray(values)


def noise(seed=1):
    return Philox(seed).randn((SIZE, SIZE, 4))


def stripes(axis):
    """Bars across one axis, in two colours."""
    wave = (np.sin(np.arange(SIZE) * 2 * np.pi / 8) > 0)[:, None].repeat(SIZE, axis=1)
    wave = wave if axis == 0 else wave.T
    return Image.fromarray(np.where(wave[..., None], (200, 40, 40), (30, 60, 160)).astype(np.uint8))


def test_what_is_known_stays_and_the_rest_takes_its_colours():
    image = stripes(0)
    result = np.asarray(with_matched_noise(image, mask(), noise()))
    assert np.array_equal(result[:, :32], np.asarray(image)[:, :32])
    new = result[:, 32:].reshape(-1, 3).astype(int)
    for channel in range(3):
        assert set(np.unique(new[:, channel])) <= set(range(30, 201))
    red = np.asarray(image)[:, :32, 0].mean()
    assert abs(new[:, 0].mean() - red) < 2


def test_noise_has_the_direction_of_the_picture():
    for axis in (0, 1):
        new = np.asarray(with_matched_noise(stripes(axis), mask(), noise()))[:, 32:, 0].astype(float)
        along, across = (np.abs(np.diff(new, axis=way)).mean() for way in (1 - axis, axis))
        assert across > 2 * along


def test_another_seed_gives_other_noise_and_the_same_seed_the_same():
    first, again, other = (np.asarray(with_matched_noise(stripes(0), mask(), noise(seed))) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_with_nothing_known_or_nothing_new_the_picture_stays():
    for columns in (0, SIZE):
        image = stripes(0)
        assert with_matched_noise(image, mask(columns), noise()) is image
