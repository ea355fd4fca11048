"""Hints at another size: three ways to fit, and maps that stay what they are."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from pochade.errors import UnknownNameError, UsageError
from pochade.preprocessors.resizing import CROP, FILL, RESIZE_MODES, STRETCH, at_resolution, fitted, perfect_resolution
from pochade.preprocessors.thinning import thinned


@pytest.fixture(scope="module")
def photo():
    """A smooth picture, 60 x 40, that grows from left to right in red and downwards in green."""
    red, green = np.meshgrid(np.linspace(0, 255, 60), np.linspace(0, 255, 40))
    return np.stack([red, green, np.full_like(red, 90)], axis=2).astype(np.uint8)


def drawn(*lines, size=(64, 64), width=1):
    image = Image.new("RGB", size)
    for line in lines:
        ImageDraw.Draw(image).line(line, (255, 255, 255), width)
    return np.array(image)


@pytest.mark.parametrize("mode", RESIZE_MODES)
@pytest.mark.parametrize("size", [(30, 20), (64, 64), (7, 200), (1, 1), (60, 40), (121, 83)])
def test_the_size_is_what_was_asked_for(photo, mode, size):
    result = fitted(photo, *size, mode)
    assert result.shape == (size[1], size[0], 3) and result.dtype == np.uint8


def test_the_same_size_changes_nothing(photo):
    for mode in RESIZE_MODES:
        np.testing.assert_array_equal(fitted(photo, 60, 40, mode), photo)


def test_stretching_keeps_all_four_corners(photo):
    result = fitted(photo, 80, 80, STRETCH).astype(int)
    assert abs(result[[0, 0, -1, -1], [0, -1, 0, -1]] - photo[[0, 0, -1, -1], [0, -1, 0, -1]]).max() < 12


def test_cropping_keeps_the_middle_and_the_proportions(photo):
    result = fitted(photo, 80, 80, CROP).astype(int)
    assert abs(result[:, :, 0].min() - 255 / 6) < 8 and abs(result[:, :, 0].max() - 255 * 5 / 6) < 8
    assert result[:, :, 1].min() < 8 and result[:, :, 1].max() > 247


def test_filling_keeps_all_and_adds_a_border_of_the_rims_colour(photo):
    result = fitted(photo, 60, 60, FILL)
    np.testing.assert_array_equal(result[10:50], photo)
    rim = np.concatenate([photo[0], photo[-1], photo[:, 0], photo[:, -1]])
    assert (result[:10] == np.median(rim, axis=0).astype(np.uint8)).all() and (result[50:] == result[0, 0]).all()
    assert (fitted(photo, 60, 60, FILL, fill=(255, 255, 255))[:10] == 255).all()


@pytest.mark.parametrize("size", [(128, 128), (150, 90), (32, 32), (23, 45)])
def test_lines_of_one_pixel_stay_so_and_whole(size):
    lines = drawn((3, 5, 60, 20), (5, 60, 58, 30), (10, 10, 12, 58))
    result = fitted(lines, *size, STRETCH)
    white = result[:, :, 0] > 0
    assert set(np.unique(result)) == {0, 255}
    assert np.array_equal(thinned(white), white)
    assert not (white[1:, 1:] & white[:-1, 1:] & white[1:, :-1] & white[:-1, :-1]).any()
    columns = np.linspace(4, 59, 12) * size[0] / 64
    assert all(white[:, int(column) - 1 : int(column) + 2].any() for column in columns)


@pytest.mark.parametrize("size", [(100, 100), (40, 40)])
def test_areas_in_black_and_white_stay_so(size):
    areas = drawn((10, 30, 54, 34), width=25)
    result = fitted(areas, *size, STRETCH)
    assert set(np.unique(result)) == {0, 255}
    assert abs((result > 0).mean() - (areas > 0).mean()) < 0.02


@pytest.mark.parametrize("count", [2, 9])
def test_flat_colours_are_not_mixed(count):
    colours = np.random.default_rng(2).integers(0, 256, (count, 3), dtype=np.uint8)
    areas = colours[np.random.default_rng(3).integers(0, count, (40, 40))]
    for size in ((93, 71), (17, 29)):
        result = fitted(areas, *size, STRETCH)
        assert {tuple(each) for each in result.reshape(-1, 3).tolist()} <= {tuple(each) for each in colours.tolist()}


def test_thinning_leaves_a_point_of_a_square_and_keeps_lines_joined():
    square = np.zeros((8, 8), bool)
    square[3:5, 3:5] = True
    assert thinned(square).sum() == 1
    askew = drawn((5, 5, 58, 58), width=5)[:, :, 0] > 0
    thin = thinned(askew)
    rows, columns = np.nonzero(thin)
    assert len(set(rows)) > 48 and abs(rows - columns).max() <= 2
    assert not thinned(np.zeros((3, 3), bool)).any()


def test_a_resolution_is_that_of_the_shorter_side(photo):
    assert at_resolution(photo, 20).shape == (20, 30, 3)
    assert at_resolution(photo, 80).shape == (80, 120, 3)


def test_a_long_and_thin_picture_is_not_enlarged_beyond_measure():
    height, width, _ = at_resolution(np.zeros((300, 1, 3), np.uint8), 512).shape
    assert (height > 20_000, 2e6 < height * width < 2.2e6) == (True, True)
    assert at_resolution(np.zeros((80, 10, 3), np.uint8), 512).shape == (4096, 512, 3)
    assert at_resolution(np.zeros((5000, 4000, 3), np.uint8), 4096).shape == (5000, 4000, 3)
    assert at_resolution(np.zeros((5000, 4000, 3), np.uint8), 512).shape == (640, 512, 3)


def test_the_perfect_resolution_makes_pixels_of_pixels(photo):
    assert perfect_resolution(photo, 120, 120, CROP) == 120
    assert perfect_resolution(photo, 120, 120, FILL) == 80
    assert fitted(at_resolution(photo, 120), 120, 120, CROP).shape == (120, 120, 3)


def test_what_cannot_be_is_told(photo):
    with pytest.raises(UnknownNameError, match="did you mean Crop and Resize"):
        fitted(photo, 8, 8, "Crop & Resize")
    with pytest.raises(UsageError, match="0x8 cannot be"):
        fitted(photo, 0, 8)
    with pytest.raises(UsageError, match="resolution is 0"):
        at_resolution(photo, 0)
    with pytest.raises(UsageError, match="8 bits"):
        fitted(photo.astype(np.float32), 8, 8)
