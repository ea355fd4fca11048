"""The hint of ControlNets that were trained to fill holes."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pochade.errors import UsageError
from pochade.preprocessors.filters import Floats
from pochade.preprocessors.pictures import Picture

_HOLE = -1.0
_WHITE = 127  # a mask's pixel above this is to be painted


def inpaint_only(picture: Picture, *, mask: NDArray[Any]) -> Floats:
    """The picture in 0..1, and -1 in every channel where the mask [H, W] or [H, W, 3] of 8 bits is white.

    The one preprocessor whose hint is in float32, because no colour means a hole. Resize both before.
    """
    if mask.shape[:2] != picture.shape[:2]:
        wanted, found = (f"{each.shape[1]}x{each.shape[0]}" for each in (picture, mask))
        raise UsageError(f"The mask is {found} pixels and the picture {wanted}; give a mask of the same size.")
    is_hole = (mask if mask.ndim == 2 else mask.max(axis=2)) > _WHITE
    return np.where(is_hole[:, :, None], np.float32(_HOLE), picture.astype(np.float32) / 255)
