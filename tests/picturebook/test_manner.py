"""Styles are told by thickness, blocks and steepness of edges."""

import numpy as np
import pytest

from pochade.picturebook.blobs import find_blobs
from pochade.picturebook.manner import blockiness, manner, steepness, thickness
from pochade.picturebook.objects import OBJECTS
from pochade.picturebook.paint import paint
from pochade.picturebook.scene import STYLES, Scene, Thing


def measured(name: str, style: str):
    scene = Scene((Thing(name, "blue", 63, 65, 66),), None, "white background", style)
    pixels = np.asarray(paint(scene), np.float32)
    distance = np.sqrt(((255 - pixels) ** 2).sum(-1))
    return pixels, distance, find_blobs(distance > 32, 100)


@pytest.mark.parametrize("name", OBJECTS)
@pytest.mark.parametrize("style", STYLES)
def test_every_drawing_shows_its_style(name, style):
    assert manner(*measured(name, style)) == style


def test_outlines_are_thin():
    assert thickness(measured("heart", "outline")[2]) < 0.1 < 0.6 < thickness(measured("heart", "flat")[2])


def test_blocks_explain_pixel_pictures():
    pixels, _, blobs = measured("cat", "pixel")
    assert blockiness(pixels, blobs) == 0
    pixels, _, blobs = measured("cat", "flat")
    assert blockiness(pixels, blobs) > 0.6


def test_soft_edges_are_less_steep():
    _, soft, soft_blobs = measured("star", "soft")
    _, flat, flat_blobs = measured("star", "flat")
    assert steepness(soft, soft_blobs) < 0.5 * steepness(flat, flat_blobs)


def test_nothing_is_flat():
    empty = np.zeros((128, 128, 3), np.float32)
    assert manner(empty, empty[..., 0], []) == "flat"
