"""Edges by Canny's method (1986): where brightness changes most, in lines one pixel wide.

Every choice that the method leaves open is OpenCV's, because ControlNets were trained on its edges.
"""

import numpy as np
from numpy.typing import NDArray

from pochade.preprocessors.filters import sobel
from pochade.preprocessors.pictures import Mask, Picture, grey

Integers = NDArray[np.int32]
_BITS = 15
_FLAT = 13573  # tangent of 22.5 degrees in units of 2 ** -_BITS; that of 67.5 degrees is larger by exactly 2


def canny(picture: Picture, low: float = 100, high: float = 200) -> Picture:
    """White edges on black: those steeper than `high`, and what continues them and is steeper than `low`."""
    low, high = sorted((low, high))
    across, down = sobel(picture.astype(np.int32))
    channel = (abs(across) + abs(down)).argmax(axis=2)[:, :, None]  # of the three colours the one that changes most
    across, down = (np.take_along_axis(slope, channel, axis=2)[:, :, 0] for slope in (across, down))
    strength = abs(across) + abs(down)
    ridges = _ridges(across, down, strength)
    return grey(continued(ridges & (strength > np.floor(high)), ridges & (strength > np.floor(low))))


def _ridges(across: Integers, down: Integers, strength: Integers) -> Mask:
    """Pixels that are steeper than their two neighbours in the direction in which brightness changes."""
    height, width = strength.shape
    wide = np.pad(strength, 1)

    def beside(rows: int, columns: int) -> Integers:
        return wide[1 + rows : 1 + rows + height, 1 + columns : 1 + columns + width]

    x, y = abs(across), abs(down) << _BITS
    is_flat, is_steep = y < x * _FLAT, y > x * (_FLAT + (2 << _BITS))
    to_the_right = (strength > beside(0, -1)) & (strength >= beside(0, 1))
    downwards = (strength > beside(-1, 0)) & (strength >= beside(1, 0))
    falling = (strength > beside(-1, -1)) & (strength > beside(1, 1))
    rising = (strength > beside(-1, 1)) & (strength > beside(1, -1))
    return np.select([is_flat, is_steep, (across ^ down) >= 0], [to_the_right, downwards, falling], rising)


def continued(strong: Mask, weak: Mask) -> Mask:
    """The strong pixels and the weak ones that are joined to them, over corners too, by weak ones."""
    width = strong.shape[1] + 2
    free = np.pad(weak & ~strong, 1)
    around = np.array([row * width + column for row in (-1, 0, 1) for column in (-1, 0, 1) if row or column])
    flat, newest = free.reshape(-1), np.flatnonzero(np.pad(strong, 1))
    while newest.size:
        near = np.unique(newest[:, None] + around)
        newest = near[flat[near]]
        flat[newest] = False
    return strong | (weak & ~free[1:-1, 1:-1])
