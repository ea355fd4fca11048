"""From a picture to skeletons, with networks that a test made up."""

import numpy as np
import pytest

from pochade.preprocessors import preprocess
from pochade.preprocessors.poses import found_people
from tests.preprocessors.skeletons import maps_of, standing
from tests.preprocessors.test_extremities import spots

PICTURE = np.random.default_rng(1).integers(0, 256, (256, 320, 3), dtype=np.uint8)
SEEN = 230  # the width of the picture where its height is 184


def body(*people, seen=None):
    """A network that sees these people in whatever it is shown."""
    fields, heats = maps_of(people, 23, SEEN / 8, 0.9, 1.0)

    def look(picture):
        if seen is not None:
            seen.append(picture)
        maps = np.concatenate([fields, heats])
        return np.pad(maps, ((0, 0), (0, 0), (0, picture.shape[1] // 8 - maps.shape[2])))

    return look


def part(count):
    return lambda picture: spots([(0.5, 0.5)], picture.shape[0] // 8, count)


def test_the_body_is_looked_at_small_and_its_joints_are_at_their_places():
    seen = []
    (person,) = found_people(PICTURE, body(standing(0.4, 0.9), seen=seen))
    assert seen[0].shape == (184, 232, 3) and (seen[0][:, SEEN:] == 128).all()
    for joint, (x, y) in standing(0.4, 0.9).items():
        assert abs(person.joints[joint].x - 320 * x) < 5 and abs(person.joints[joint].y - 256 * y) < 5


@pytest.mark.parametrize("size", [(64, 640), (640, 64), (64, 64)])
def test_pictures_of_any_shape_are_looked_at(size):
    def nobody(picture):
        assert picture.shape[0] == 184 and picture.shape[1] % 8 == 0
        return np.zeros((57, 23, picture.shape[1] // 8), np.float32)

    assert found_people(np.zeros((*size, 3), np.uint8), nobody) == []


def test_a_very_wide_picture_is_squeezed():
    def nobody(picture):
        assert picture.shape == (184, 8 * 184, 3)
        return np.zeros((57, 23, 8 * 23), np.float32)

    assert found_people(np.zeros((8, 3000, 3), np.uint8), nobody) == []


def test_each_preprocessor_draws_its_parts():
    networks = {"body": body(standing(0.5, 1.0)), "hand": part(22), "face": part(71)}

    def drawn(name, *parts):
        return preprocess(name, PICTURE, **{each: networks[each] for each in parts})

    alone = drawn("openpose", "body")
    hands = drawn("openpose_hand", "body", "hand")
    faces = drawn("openpose_face", "body", "face")
    whole = drawn("openpose_full", "body", "hand", "face")
    face = drawn("openpose_faceonly", "body", "face")
    x, y = standing(0.5, 1.0)[1]
    assert alone[int(y * 256), int(x * 320)].tolist() == [255, 85, 0]
    assert (hands != alone).any(axis=2).sum() > 20 and (faces != alone).any(axis=2).sum() > 5
    assert np.unique(face).tolist() == [0, 255] and 0 < face.any(axis=2).sum() < 60
    changed = (hands != alone).any(axis=2) | (faces != alone).any(axis=2)
    assert ((whole != alone).any(axis=2) == changed).all()
