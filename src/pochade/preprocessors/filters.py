"""Smoothing and slopes of pictures [H, W] or [H, W, C], from which most preprocessors are made."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
_REACH = 4  # in standard deviations; what lies beyond has no weight to speak of


def gaussian(picture: NDArray[Any], sigma: float) -> Floats:
    """The picture in float32, each pixel averaged with those around it; the picture is mirrored at its border."""
    reach = max(1, round(_REACH * sigma))
    weights = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma**2))
    weights /= weights.sum()
    result = picture.astype(np.float32)
    for axis in (0, 1):
        result = _weighted(result, weights.astype(np.float32).tolist(), axis)
    return result


def _weighted(picture: Floats, weights: Sequence[float], axis: int) -> Floats:
    """The sum of the picture moved along one axis, each time by one pixel more and with the next weight."""
    reach, length = len(weights) // 2, picture.shape[axis]
    rim = [(reach, reach) if each == axis else (0, 0) for each in range(picture.ndim)]
    wide = np.moveaxis(np.pad(picture, rim, mode="reflect"), axis, 0)
    result = np.zeros_like(np.moveaxis(picture, axis, 0))
    buffer = np.empty_like(result)
    for start, weight in enumerate(weights):
        result += np.multiply(wide[start : start + length], weight, out=buffer)
    return np.moveaxis(result, 0, axis)


def sobel(picture: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Slopes to the right and downwards, eight times as large as the difference of neighbours that are one apart."""
    wide = np.pad(picture, [(1, 1), (1, 1)] + [(0, 0)] * (picture.ndim - 2), mode="edge")
    rows = wide[:-2] + 2 * wide[1:-1] + wide[2:]
    columns = wide[:, :-2] + 2 * wide[:, 1:-1] + wide[:, 2:]
    return rows[:, 2:] - rows[:, :-2], columns[2:] - columns[:-2]
