"""Hints of depth: how near everything is, and which way surfaces face.

A network estimates it; or it is read from a map that was made elsewhere, without colours, bright where a thing is near.
"""

import numpy as np

from pochade.errors import UsageError
from pochade.preprocessors.filters import Floats, gaussian, sobel
from pochade.preprocessors.learned import Network, what_to_get
from pochade.preprocessors.pictures import Picture, grey

_TOWARDS_US = 2 * np.pi  # how much a surface faces us beside its slopes, as MiDaS's maps have it
_STEPS = 2.0  # pixels over which the steps of 8 bits are smoothed before slopes are taken


def depth_midas(picture: Picture, *, network: Network | None = None) -> Picture:
    """A depth map from black for the farthest to white for the nearest."""
    return grey(255 * _stretched(_depth(picture, network)))


def normal_midas(picture: Picture, background: float = 0.4, *, network: Network | None = None) -> Picture:
    """Which way surfaces face: right in blue, down in green, towards us in red, as ControlNets were trained on it.

    What is farther than `background` (0 the farthest, 1 the nearest) counts as a wall that faces us.
    """
    depth = _depth(picture, network)
    across, down = sobel(depth if network else gaussian(depth, _STEPS))
    is_far = _stretched(depth) < background
    slopes = [np.where(is_far, 0, each) for each in (across, down)]
    normal = np.stack([np.full_like(across, _TOWARDS_US), *reversed(slopes)], axis=2)
    normal /= np.linalg.norm(normal, axis=2, keepdims=True)
    return (normal * 127.5 + 127.5).clip(0, 255).astype(np.uint8)


def _depth(picture: Picture, network: Network | None) -> Floats:
    """How near everything is [H, W], without a scale. Raises UsageError for a picture in colours without a network."""
    if network:
        depth: Floats = network(picture)[0]
        return depth
    if (picture != picture[:, :, :1]).any():
        raise UsageError(
            "This is no depth map, for it has colours, and to estimate depth a network is needed: "
            f"{what_to_get(['midas'])}; or give a map without colours (near is bright) in place of the picture."
        )
    return picture[:, :, 0].astype(np.float32)


def _stretched(depth: Floats) -> Floats:
    """Depth from 0 to 1; one that is the same everywhere is far."""
    nearness: Floats = depth - depth.min()
    highest = float(nearness.max())
    return nearness / highest if highest > 0 else nearness
