"""Preprocessors that look with networks, each with a network that a test made up."""

import numpy as np
import pytest

from pochade.errors import UsageError
from pochade.preprocessors import PREPROCESSORS, check_networks, networks_of, options_of, preprocess
from pochade.preprocessors.learned import NETWORKS, PUBLISHED

MAPS = {"body": (57, 8), "hand": (22, 8), "face": (71, 8), "mlsd": (9, 2)}


def empty(kind, seen=None):
    """A network that sees nothing."""

    def look(picture):
        if seen is not None:
            seen.append(picture)
        maps, cell = MAPS.get(kind, (1, 1))
        return np.zeros((maps, picture.shape[0] // cell, picture.shape[1] // cell), np.float32) - (kind == "mlsd") * 9

    return look


@pytest.fixture(scope="module")
def picture():
    return np.random.default_rng(1).integers(0, 256, (70, 90, 3), dtype=np.uint8)


def test_every_network_is_an_option_of_its_preprocessor():
    assert NETWORKS.keys() <= PREPROCESSORS.keys()
    for name, networks in NETWORKS.items():
        assert networks.keys() <= options_of(name).keys()


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("size", [(70, 90), (1, 1), (64, 128)])
def test_a_hint_is_a_picture_of_the_same_size(name, size, picture):
    cut = np.ascontiguousarray(np.resize(picture, (*size, 3)))
    seen = []
    networks = {option: empty(kind, seen) for option, kind in networks_of(name).items()}
    hint = preprocess(name, cut, **networks)
    assert hint.shape == cut.shape and hint.dtype == np.uint8
    assert seen and (np.ptp(hint, axis=(0, 1)) == 0).all()


def test_a_network_sees_whole_cells(picture):
    seen = []
    preprocess("softedge_hed", picture, network=empty("hed", seen))
    assert seen[0].shape == (128, 128, 3)
    np.testing.assert_array_equal(seen[0][:70, :90], picture)
    np.testing.assert_array_equal(seen[0][70:, :90], np.repeat(picture[-1:], 58, axis=0))


@pytest.mark.parametrize("name", [name for name in NETWORKS if "midas" not in name])
def test_without_its_networks_it_says_what_to_get_and_where(name, picture):
    with pytest.raises(UsageError, match=r"is a network with weights of its own: get .+") as caught:
        preprocess(name, picture)
    assert PUBLISHED in str(caught.value)
    assert ("non-commercial" in str(caught.value)) == name.startswith("openpose")


def test_only_the_networks_that_are_missing_are_named():
    with pytest.raises(UsageError, match=r"get hand_pose_model\.pth and facenet\.pth from"):
        check_networks("openpose_full", ["body"])
    check_networks("openpose", ["body"])
    check_networks("depth_midas", [])
    check_networks("canny", [])


def test_depth_comes_from_the_network_or_is_the_picture(picture):
    slope = np.tile(np.linspace(2, 6, 128, dtype=np.float32), (1, 128, 1))
    depth = preprocess("depth_midas", picture, network=lambda seen: slope)
    assert depth[0, 0, 0] == 0 and 170 < depth[0, -1, 0] < 185  # the repeated columns are nearer still
    normal = preprocess("normal_midas", picture, network=lambda seen: 100 * slope).astype(int)
    assert (normal[:, 5] == [255, 127, 127]).all() and normal[30, 80, 2] > 220
    with pytest.raises(UsageError, match=r"no depth map, for it has colours.*get dpt_hybrid.*or give a map"):
        preprocess("depth_midas", picture)
