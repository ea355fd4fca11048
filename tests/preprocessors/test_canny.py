"""Canny's edges and Gaussian smoothing equal OpenCV's (recorded), and lines go on over gaps in strength."""

from pathlib import Path

import numpy as np
import pytest

from pochade.preprocessors.canny import canny
from pochade.preprocessors.filters import gaussian, sobel


@pytest.fixture(scope="module")
def opencv():
    """A picture [48, 64, 3], and what OpenCV 5.0 makes of it."""
    with np.load(Path(__file__).parent / "opencv.npz") as recorded:
        return dict(recorded)


@pytest.mark.parametrize(("low", "high"), [(100, 200), (20, 60), (0, 30), (40.5, 90.5)])
def test_edges_equal_opencv(opencv, low, high):
    picture = opencv["picture"]
    wanted = np.unpackbits(opencv[f"canny_{low}_{high}"]).reshape(picture.shape[:2]) * 255
    assert wanted.any()
    for edges in (canny(picture, low, high), canny(picture, high, low)):
        np.testing.assert_array_equal(edges, np.repeat(wanted[:, :, None], 3, axis=2))


@pytest.mark.parametrize("sigma", [0.5, 6.0])
def test_smoothing_equals_opencv(opencv, sigma):
    smooth = gaussian(opencv["picture"], sigma)[:, :24, 1]
    np.testing.assert_allclose(smooth, opencv[f"gaussian_{sigma}"], atol=0.02)


def test_a_weak_edge_counts_where_a_strong_one_leads_to_it():
    picture = np.zeros((40, 40, 3), np.uint8)
    picture[:, 20:] = np.linspace(20, 80, 40)[:, None, None].astype(np.uint8)
    edges = canny(picture, 60, 250)[:, :, 0] > 0
    assert edges[1:-1].any(axis=1).all()
    assert not canny(picture, 250, 250)[:18].any()
    assert not canny(picture[:20], 60, 250).any()


def test_an_even_picture_has_no_edges():
    assert not canny(np.full((9, 7, 3), 200, np.uint8)).any()
    assert not canny(np.full((1, 1, 3), 200, np.uint8), 0, 0).any()


def test_slopes_point_to_where_it_grows():
    across, down = sobel(np.tile(np.arange(5, dtype=np.int32), (4, 1)))
    assert (across[:, 1:-1] == 8).all() and not down.any()
