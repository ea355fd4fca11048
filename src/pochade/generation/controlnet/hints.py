"""From a picture to the hint that a ControlNet sees: what its unit says, at the size of the picture that is drawn."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pochade.errors import UsageError
from pochade.generation.controlnet.control_unit import THRESHOLDS, ControlUnit
from pochade.preprocessors import UNSCALED, canonical, options_of, preprocess, thresholds_of
from pochade.preprocessors.learned import Network
from pochade.preprocessors.pictures import Picture
from pochade.preprocessors.resizing import at_resolution, fitted, perfect_resolution

_WHITE = (255, 255, 255)

Size = tuple[int, int]


def looks_at_mask(unit: ControlUnit) -> bool:
    """Whether the preprocessor wants to know what is to be filled."""
    return "mask" in options_of(unit.preprocessor)


def hint_of(
    unit: ControlUnit,
    image: Image.Image,
    mask: Image.Image | None,
    size: Size | None,
    seed: int = 0,
    networks: Mapping[str, Network] | None = None,
) -> NDArray[Any]:
    """The hint for a picture of this width and height, [height, width, 3], of 8 bits or, with holes, of floats.

    Without a size it has that at which the preprocessor works. `seed` is for those that leave something to chance,
    `networks` for those that look with them.
    """
    options: dict[str, Any] = {"seed": seed} if "seed" in options_of(unit.preprocessor) else {}
    options |= networks or {}
    for threshold, name in zip(THRESHOLDS, thresholds_of(unit.preprocessor), strict=False):
        if vars(unit)[threshold] is not None:
            options[name] = vars(unit)[threshold]
    if looks_at_mask(unit):
        picture, hole = masked(unit, image, mask, size or image.size)
        return preprocess(unit.preprocessor, picture, mask=hole, **options)
    picture = _at_its_resolution(unit, np.array(image), size or image.size)
    hint = preprocess(unit.preprocessor, picture, **options)
    return fitted(hint, *size, unit.resize_mode) if size else hint


def masked(unit: ControlUnit, image: Image.Image, mask: Image.Image | None, size: Size) -> tuple[Picture, Picture]:
    """The picture and its mask at this size; what lies beyond the picture is to be filled."""
    if mask is None:
        raise UsageError(f"The preprocessor {unit.preprocessor!r} fills what a mask covers; give the mask too.")
    if mask.size != size:
        mask = mask.resize(image.size)
    picture, hole = (np.array(each.convert("RGB")) for each in (image, mask))
    return fitted(picture, *size, unit.resize_mode), fitted(hole, *size, unit.resize_mode, fill=_WHITE)


def _at_its_resolution(unit: ControlUnit, picture: Picture, size: Size) -> Picture:
    if canonical(unit.preprocessor) in UNSCALED:
        return picture
    return at_resolution(picture, unit.resolution or perfect_resolution(picture, *size, unit.resize_mode))
