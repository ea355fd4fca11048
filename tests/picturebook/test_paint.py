"""Painting: every object, colour, background and style; the same scene gives the same pixels."""

import time

import numpy as np
import pytest

from pochade.picturebook.objects import OBJECTS
from pochade.picturebook.paint import backdrop, paint
from pochade.picturebook.palette import BACKGROUNDS, COLOURS, lab, shade, visible_colours
from pochade.picturebook.scene import STYLES, Scene, Thing, random_scene


def single(name: str, colour: str, background: str, style: str = "flat") -> Scene:
    return Scene((Thing(name, colour, 64, 64, 68),), None, background, style)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("name", OBJECTS)
def test_every_object_shows_in_every_style(name, style):
    picture = paint(single(name, "blue", "white background", style))
    assert picture.size == (128, 128)
    assert picture.mode == "RGB"
    changed = (np.asarray(picture) != np.asarray(backdrop("white background"))).any(-1)
    assert 400 < changed.sum() < 6500


@pytest.mark.parametrize("name", OBJECTS)
@pytest.mark.parametrize("colour", [name for name in COLOURS if name != "white"])
def test_the_named_colour_dominates(name, colour):
    pixels = np.asarray(paint(single(name, colour, "white background"))).reshape(-1, 3)
    tones, counts = np.unique(pixels[(pixels < 230).any(1)], axis=0, return_counts=True)
    assert tuple(tones[counts.argmax()].tolist()) in (COLOURS[colour], shade(COLOURS[colour]))


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_backgrounds_paint_their_tones(background):
    pixels = np.asarray(paint(single("heart", visible_colours(background)[0], background)))
    assert tuple(pixels[0, 0].tolist()) == BACKGROUNDS[background].sky
    assert tuple(pixels[-1, 0].tolist()) == BACKGROUNDS[background].ground


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_most_colours_stand_out_from_each_background(background):
    assert len(visible_colours(background)) >= 8


def test_colours_lie_far_apart():
    tones = lab(np.array(list(COLOURS.values())))
    gaps = np.linalg.norm(tones[:, None] - tones[None], axis=-1) + 999 * np.eye(len(tones))
    assert gaps.min() > 30


def test_lab_of_known_tones():
    assert np.allclose(lab(np.array([[255, 255, 255], [0, 0, 0]])), [[100, 0, 0], [0, 0, 0]], atol=0.1)
    assert np.allclose(lab(np.array([255, 0, 0])), [53.24, 80.09, 67.2], atol=0.1)


def test_painting_is_deterministic():
    rng = np.random.default_rng(3)
    for scene in (random_scene(rng) for _ in range(20)):
        assert np.array_equal(np.asarray(paint(scene)), np.asarray(paint(scene)))


def test_backdrops_are_not_painted_over():
    before = np.asarray(backdrop("beach")).copy()
    paint(single("car", "red", "beach"))
    assert np.array_equal(np.asarray(backdrop("beach")), before)


def test_pixel_pictures_are_blocks_of_pure_tones():
    pixels = np.asarray(paint(single("fish", "red", "night sky", "pixel")))
    blocks = pixels.reshape(32, 4, 32, 4, 3)
    assert (blocks == blocks[:, :1, :, :1]).all()


def test_outlines_are_hollow():
    pixels = np.asarray(paint(single("heart", "red", "white background", "outline")))
    assert tuple(pixels[64, 64].tolist()) == (255, 255, 255)
    assert (pixels == COLOURS["red"]).all(-1).any()


def test_painting_is_fast():
    rng = np.random.default_rng(4)
    drawn = [random_scene(rng) for _ in range(100)]
    started = time.process_time()
    for scene in drawn:
        paint(scene)
    assert (time.process_time() - started) / len(drawn) < 0.01
