"""Preprocessors that look at each pixel by itself."""

import numpy as np
from PIL import Image

from pochade.errors import UsageError
from pochade.preprocessors.pictures import Picture, grey


def none(picture: Picture) -> Picture:
    """The picture as it is: a map that is made already, or a picture that the ControlNet takes itself."""
    return picture


def invert(picture: Picture) -> Picture:
    """Dark lines on white paper as light ones on black, which ControlNets want."""
    return ~picture


def threshold(picture: Picture, least: float = 127) -> Picture:
    """White where every colour is above `least`, else black."""
    return grey(picture.min(axis=2) > least)


def recolor_luminance(picture: Picture, gamma: float = 1.0) -> Picture:
    """How light each pixel looks (L of Lab), to the power of `gamma`."""
    return _channel(picture, "LAB", 0, gamma)


def recolor_intensity(picture: Picture, gamma: float = 1.0) -> Picture:
    """How bright the brightest colour of each pixel is (V of HSV), to the power of `gamma`."""
    return _channel(picture, "HSV", 2, gamma)


def _channel(picture: Picture, space: str, channel: int, gamma: float) -> Picture:
    if not gamma > 0:
        raise UsageError(f"Gamma is {gamma}; it must be above 0.")
    values = np.asarray(Image.fromarray(picture).convert(space).getchannel(channel))
    return grey(255 * (values / 255) ** gamma)
