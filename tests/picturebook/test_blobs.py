"""Islands: numbering, filling, and silhouettes that do not depend on place or size."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pochade.picturebook.blobs import find_blobs, grow, label, shrink, silhouette


def flooded(mask: np.ndarray) -> np.ndarray:
    """A slow and plain labelling to compare with."""
    labels = np.zeros(mask.shape, int)
    for start in zip(*np.nonzero(mask), strict=True):
        if labels[start]:
            continue
        number, stack = labels.max() + 1, [start]
        while stack:
            y, x = stack.pop()
            inside = 0 <= y < mask.shape[0] and 0 <= x < mask.shape[1]
            if inside and mask[y, x] and not labels[y, x]:
                labels[y, x] = number
                stack += [(y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)]
    return labels


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 14), st.integers(1, 14), st.floats(0.2, 0.8))
def test_labels_equal_a_flood_fill(seed, height, width, share):
    mask = np.random.default_rng(seed).random((height, width)) < share
    ours, plain = label(mask), flooded(mask)
    assert ours.max() == plain.max()
    pairs = set(zip(ours.ravel().tolist(), plain.ravel().tolist(), strict=True))
    assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})


def test_an_empty_mask_has_no_islands():
    assert label(np.zeros((5, 5), bool)).max() == 0
    assert find_blobs(np.zeros((20, 20), bool), 5) == []


def test_holes_are_filled_and_small_gaps_bridged():
    mask = np.zeros((60, 60), bool)
    mask[10:50, 10:50] = True
    mask[14:46, 14:46] = False
    mask[28:30, 10:14] = False
    (ring,) = find_blobs(mask, 100)
    assert ring.box == (10, 10, 50, 50)
    assert ring.area >= 1590
    assert ring.pixels.sum() == mask.sum()


def test_islands_come_largest_first_and_specks_go():
    mask = np.zeros((60, 60), bool)
    mask[2:12, 2:12] = mask[20:55, 20:55] = mask[2:5, 50:53] = True
    assert [blob.area for blob in find_blobs(mask, 50)] == [35 * 35, 100]


def test_growing_and_shrinking():
    dot = np.zeros((9, 9), bool)
    dot[4, 4] = True
    assert grow(dot, 2).sum() == 13
    assert (shrink(grow(dot, 2), 2) == dot).all()


@pytest.mark.parametrize(("top", "left", "scale"), [(3, 5, 1), (40, 20, 1), (10, 10, 2)])
def test_silhouettes_ignore_place_and_size(top, left, scale):
    shape = np.zeros((20, 20), bool)
    shape[:, :6] = shape[14:, :] = True
    mask = np.zeros((90, 90), bool)
    mask[top : top + 20 * scale, left : left + 20 * scale] = np.kron(shape, np.ones((scale, scale), bool))
    other = np.zeros((90, 90), bool)
    other[30:50, 30:50] = shape
    assert silhouette(mask) @ silhouette(other) > 0.97
    assert silhouette(mask) @ silhouette(other[::-1]) < 0.8
