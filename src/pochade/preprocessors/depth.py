"""Hints from depth maps that were made elsewhere: the map itself, and which way its surfaces face.

Pochade runs no network that estimates depth. A map has no colours and is the brighter the nearer a thing is.
"""

import numpy as np

from pochade.errors import UsageError
from pochade.preprocessors.filters import Floats, gaussian, sobel
from pochade.preprocessors.pictures import Picture, grey

_TOWARDS_US = 2 * np.pi  # how much a surface faces us beside its slopes, as MiDaS's maps have it
_STEPS = 2.0  # pixels over which the steps of 8 bits are smoothed before slopes are taken


def depth_midas(depth: Picture) -> Picture:
    """A depth map from black for the farthest to white for the nearest."""
    return grey(255 * _stretched(depth))


def normal_midas(depth: Picture, background: float = 0.4) -> Picture:
    """Which way the surfaces of a depth map face: right in red, down in green, towards us in blue.

    What is farther than `background` (0 the farthest, 1 the nearest) counts as a wall that faces us.
    """
    across, down = sobel(gaussian(depth[:, :, 0], _STEPS))
    is_far = _stretched(depth) < background
    slopes = [np.where(is_far, 0, each) for each in (across, down)]
    normal = np.stack([*slopes, np.full_like(across, _TOWARDS_US)], axis=2)
    normal /= np.linalg.norm(normal, axis=2, keepdims=True)
    return (normal * 127.5 + 127.5).clip(0, 255).astype(np.uint8)


def _stretched(depth: Picture) -> Floats:
    """Depth [H, W] from 0 to 1. Raises UsageError for a picture in colours."""
    if (depth != depth[:, :, :1]).any():
        raise UsageError(
            "This is no depth map, for it has colours, and Pochade runs no network that estimates depth: make the map "
            "elsewhere (without colours, near is bright) and give it in place of the picture."
        )
    nearness = depth[:, :, 0].astype(np.float32)
    nearness -= nearness.min()
    return nearness / max(float(nearness.max()), 1.0)
