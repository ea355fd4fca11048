"""From pictures to hints: sizes, resolutions, settings and masks."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from pochade.errors import UsageError
from pochade.generation.controlnet.control_unit import ControlUnit
from pochade.generation.controlnet.hints import hint_of, looks_at_mask
from pochade.preprocessors import PREPROCESSORS, UNSCALED, networks_of, preprocess
from pochade.preprocessors.resizing import at_resolution, fitted

SIZE = (96, 64)


@pytest.fixture
def image():
    small = np.random.default_rng(1).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((140, 100), Image.Resampling.BICUBIC)


def unit(preprocessor="none", **settings):
    return ControlUnit("c", preprocessor=preprocessor, **settings)


def test_unscaled_preprocessors_are_known():
    assert not UNSCALED - PREPROCESSORS.keys()


@pytest.mark.parametrize("name", [name for name in PREPROCESSORS if not networks_of(name)])
def test_every_hint_has_the_size_of_the_picture(name, image):
    mask = Image.new("L", image.size, 255) if looks_at_mask(unit(name)) else None
    assert hint_of(unit(name, resolution=80), image, mask, SIZE).shape == (64, 96, 3)


def test_preprocessors_work_at_their_resolution(image):
    found = hint_of(unit("canny", resolution=80, threshold_a=20, threshold_b=60), image, None, SIZE)
    lines = preprocess("canny", at_resolution(np.array(image), 80), low=20, high=60)
    assert np.array_equal(found, fitted(lines, *SIZE))
    assert hint_of(unit("canny", resolution=80), image, None, None).shape == (80, 112, 3)


def test_pixel_perfect_is_the_resolution_of_the_picture(image):
    assert hint_of(unit("canny", resolution=0), image, None, None).shape == (100, 140, 3)
    perfect, told = (hint_of(unit("canny", resolution=each), image, None, (70, 50)) for each in (0, 50))
    assert np.array_equal(perfect, told)


def test_what_needs_no_resolution_takes_the_picture_as_it_is(image):
    assert np.array_equal(hint_of(unit("invert", resolution=20), image, None, None), ~np.array(image))


def test_chance_follows_the_seed(image):
    first, again, other = (hint_of(unit("shuffle"), image, None, SIZE, seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_holes_are_where_the_mask_is_white(image):
    mask = Image.new("L", image.size)
    mask.paste(255, (70, 0, 140, 100))
    hint = hint_of(unit("inpaint_only", resize_mode="Just Resize"), image, mask, SIZE)
    assert (hint[:, 50:] == -1).all() and (hint[:, :46] >= 0).all()


def test_what_lies_beyond_the_picture_is_to_be_filled(image):
    hint = hint_of(unit("inpaint_only", resize_mode="Resize and Fill"), image, Image.new("L", image.size), (200, 100))
    assert (hint[:, :30] == -1).all() and (hint[:, 170:] == -1).all() and (hint[:, 31:169] >= 0).all()


def test_a_mask_at_the_size_of_the_picture_stays_in_its_place(image):
    mask = Image.new("L", SIZE)
    mask.paste(255, (0, 0, 96, 32))
    hint = hint_of(replace(unit("inpaint_only"), resize_mode="Crop and Resize"), image, mask, SIZE)
    assert (hint[:32] == -1).all() and (hint[32:] >= 0).all()


def test_a_missing_mask_is_told(image):
    with pytest.raises(UsageError, match="'inpaint_only' fills what a mask covers; give the mask too"):
        hint_of(unit("inpaint_only"), image, None, SIZE)


def test_networks_look_at_the_resolution(image):
    def edges(picture):
        assert picture.shape == (128, 128, 3)  # 80 x 112, filled up
        return np.full((1, 128, 128), 0.5, np.float32)

    hint = hint_of(unit("hed", resolution=80), image, None, SIZE, networks={"network": edges})
    assert hint.shape == (64, 96, 3) and (hint == 127).all()
    with pytest.raises(UsageError, match=r"'hed' is a network with weights of its own: get ControlNetHED\.pth"):
        hint_of(unit("hed"), image, None, SIZE)
