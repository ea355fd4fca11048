"""The drawings: inside their box, made of known paints, and unlike each other."""

from itertools import combinations

import numpy as np
import pytest

from pochade.picturebook.blobs import find_blobs, silhouette
from pochade.picturebook.objects import OBJECTS
from pochade.picturebook.paint import paint
from pochade.picturebook.scene import Scene, Thing

TONES = {"fill", "shade", "light", "ink", "wood", "leaf", "tyre", "stalk"}


@pytest.mark.parametrize("name", OBJECTS)
def test_drawings_fill_their_box(name):
    points = np.array([point for shape in OBJECTS[name] for point in shape.points])
    assert np.abs(points).max() <= 1.12  # the margin around a sprite holds the rest
    assert np.ptp(points, axis=0).min() >= 1.0
    assert np.ptp(points, axis=0).max() >= 1.7


@pytest.mark.parametrize("name", OBJECTS)
def test_drawings_use_known_paints(name):
    assert {shape.tone for shape in OBJECTS[name]} <= TONES
    assert any(shape.tone == "fill" and not shape.detail for shape in OBJECTS[name])
    assert all(len(shape.points) >= 3 or shape.width > 0 for shape in OBJECTS[name])


@pytest.mark.parametrize("name", OBJECTS)
@pytest.mark.parametrize("size", [40, 68])
def test_each_drawing_is_one_island(name, size):
    scene = Scene((Thing(name, "blue", 64, 64, size),), None, "white background")
    assert len(find_blobs((np.asarray(paint(scene)) < 200).any(-1), 60)) == 1


def test_silhouettes_differ_at_forty_pixels():
    shapes = {}
    for name in OBJECTS:
        scene = Scene((Thing(name, "blue", 64, 64, 40),), None, "white background")
        shapes[name] = silhouette(find_blobs((np.asarray(paint(scene)) < 200).any(-1), 60)[0].filled)
    likeness = {pair: float(shapes[pair[0]] @ shapes[pair[1]]) for pair in combinations(OBJECTS, 2)}
    closest = max(likeness, key=likeness.__getitem__)
    assert likeness[closest] < 0.93, closest
