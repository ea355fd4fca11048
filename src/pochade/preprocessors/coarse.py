"""Pictures with less detail than they had, for ControlNets that put detail in."""

from PIL import Image

from pochade.errors import UsageError
from pochade.preprocessors.filters import gaussian
from pochade.preprocessors.pictures import Picture, resampled

_NOTHING = 1.1  # a factor below this takes nothing away
_BLURRIEST = 64


def blur_gaussian(picture: Picture, sigma: float = 9.0) -> Picture:
    """The picture averaged over some `sigma` pixels."""
    if not 0 < sigma <= _BLURRIEST:
        raise UsageError(f"The blur's sigma is {sigma}; it must be above 0 and at most {_BLURRIEST} pixels.")
    return gaussian(picture, sigma).round().clip(0, 255).astype(picture.dtype)


def tile_resample(picture: Picture, factor: float = 1.0) -> Picture:
    """The picture made `factor` times smaller, and its old size again: the same colours without the detail."""
    if not 1 <= factor <= max(picture.shape[:2]):
        raise UsageError(f"The factor of tile_resample is {factor}; it must be from 1 to the picture's longer side.")
    if factor < _NOTHING:
        return picture
    height, width = picture.shape[:2]
    small = resampled(picture, max(1, int(width / factor)), max(1, int(height / factor)), Image.Resampling.BOX)
    return resampled(small, width, height, Image.Resampling.BICUBIC)


def tile_colorfix(picture: Picture, variation: float = 8) -> Picture:
    """The picture as it is: while sampling its colours come back, as they are over more than `variation` latents."""
    return picture


def tile_colorfix_sharp(picture: Picture, variation: float = 8, sharpness: float = 1) -> Picture:
    """The same; while sampling `sharpness` keeps the picture from going soft."""
    return picture


def color(picture: Picture, *, side: int = 64) -> Picture:
    """One colour for each square of `side` pixels."""
    if side < 1:
        raise UsageError(f"The side of color's squares is {side}; it must be 1 pixel or more.")
    height, width = picture.shape[:2]
    small = resampled(picture, max(1, width // side), max(1, height // side), Image.Resampling.BOX)
    return resampled(small, width, height, Image.Resampling.NEAREST)
