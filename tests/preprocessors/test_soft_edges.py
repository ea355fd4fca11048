"""What becomes of a network's edges and lines."""

import numpy as np
import pytest

from pochade.preprocessors import preprocess
from pochade.preprocessors.soft_edges import straight_lines

BLANK = np.zeros((64, 128, 3), np.uint8)


def shown(edges):
    return lambda picture: np.asarray(edges, np.float32)[None]


@pytest.fixture(scope="module")
def ramp():
    return np.tile(np.linspace(0, 1, 128), (64, 1))


def test_soft_edges_are_as_bright_as_they_are_sure(ramp):
    hint = preprocess("softedge_hed", BLANK, network=shown(ramp))
    np.testing.assert_array_equal(hint[:, :, 0], (ramp.astype(np.float32) * 255).astype(np.uint8))
    assert (hint == hint[:, :, :1]).all()


def test_safe_edges_have_three_steps(ramp):
    hint = preprocess("softedge_pidisafe", BLANK, network=shown(ramp))
    assert np.unique(hint).tolist() == [0, 127, 255]
    assert (hint[0, [40, 44, 80, 90], 0] == [0, 127, 127, 255]).all()


def test_a_sketch_is_white_where_it_is_sure(ramp):
    hint = preprocess("t2ia_sketch_pidi", BLANK, network=shown(ramp))
    np.testing.assert_array_equal(hint[:, :, 0], np.where(ramp > 0.5, 255, 0))


def test_scribbles_are_strokes_of_one_width_along_the_ridges():
    distance = abs(np.arange(128) - 40)
    wide = np.clip(1.0 - distance / 40, 0, 1) * np.linspace(0.8, 1, 64)[:, None]
    hint = preprocess("scribble_hed", BLANK, network=shown(wide))[20, :, 0]
    assert np.unique(hint).tolist() == [0, 255]
    stroke = np.flatnonzero(hint)
    assert (np.diff(stroke) == 1).all() and stroke.mean() == 40 and 13 <= len(stroke) <= 15
    faint = preprocess("scribble_pidinet", BLANK, network=shown(wide * 0.45))
    assert not faint.any()


def test_dark_lines_on_paper_become_light_ones(ramp):
    for name in ("lineart_realistic", "lineart_coarse", "lineart_anime"):
        hint = preprocess(name, BLANK, network=shown(ramp))
        assert hint[0, 0, 0] == 255 and hint[0, -1, 0] == 0


def lines_at(*lines):
    """Maps of half the size that tell of lines with these middles (x, y), ways to both ends, and surenesses."""
    maps = np.zeros((9, 32, 64), np.float32)
    maps[0] = -9
    for x, y, *ends, sure in lines:
        maps[0, y, x] = np.log(sure / (1 - sure))
        maps[1:5, y, x] = ends
    return maps


def test_lines_lead_from_their_middle_to_both_ends():
    maps = lines_at((20, 10, -8, 0, 8, 0, 0.9), (50, 20, 0, -6, 0, 6, 0.3))
    np.testing.assert_allclose(straight_lines(maps, 0.1, 0.1), [[12, 10, 28, 10], [50, 14, 50, 26]])
    hint = preprocess("mlsd", BLANK, network=lambda picture: maps)
    expected = np.zeros((64, 128), np.uint8)
    expected[20, 24:57] = expected[28:53, 100] = 255
    np.testing.assert_array_equal(hint, np.repeat(expected[:, :, None], 3, axis=2))


def test_lines_that_are_unsure_short_or_beside_a_surer_one_are_left_out():
    sure, beside = (20, 10, -8, 0, 8, 0, 0.9), (21, 11, -8, 0, 8, 0, 0.8)
    unsure, short = (50, 20, 0, -6, 0, 6, 0.05), (5, 5, -1, 0, 1, 0, 0.9)
    maps = lines_at(sure, beside, unsure, short)
    assert len(straight_lines(maps, 0.1, 3)) == 1
    assert len(straight_lines(maps, 0.01, 0.1)) == 3


def test_of_too_many_lines_the_surest_are_taken():
    maps = np.random.default_rng(1).normal(0, 1, (9, 64, 64)).astype(np.float32)
    assert len(straight_lines(maps, 0.0, 0.0)) == 200


def test_a_picture_without_lines_gives_none():
    assert straight_lines(lines_at(), 0.1, 0.1).shape == (0, 4)


@pytest.mark.filterwarnings("error")
def test_no_place_is_too_unsure_to_count():
    maps = lines_at()
    maps[0] = -1000
    assert straight_lines(maps, 0.1, 0.1).shape == (0, 4)
