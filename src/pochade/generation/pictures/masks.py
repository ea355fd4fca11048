"""Masks of pictures: read, soften, find the part they cover, and fill what they hide. White is drawn anew."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageFilter, ImageOps

Box: TypeAlias = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels; the latter two are beyond the box."""

_HALF = 128
_ONE = 256  # parts of a whole, in which a blur is counted
_FILL = ((256, 1), (64, 1), (16, 2), (4, 4), (2, 2), (0, 1))  # radius of each blur, and how often it is laid on


def mask_of(image: Image.Image, rounded: bool = True) -> Image.Image:
    """The mask that a picture means: its transparency where it has some, else its brightness. 8 bits of grey."""
    if image.mode == "RGBA" and image.getchannel("A").getextrema() != (255, 255):
        alpha = image.getchannel("A")
        return alpha.point([0 if value <= _HALF else 255 for value in range(256)]) if rounded else alpha
    return image.convert("L")


def belongs(mask: Image.Image, image: Image.Image) -> bool:
    """Tell whether a mask has the proportion of a picture, to a pixel."""
    return abs(mask.width * image.height / image.width - mask.height) <= 1


def blurred(mask: Image.Image, x: int, y: int) -> Image.Image:
    """Softened by a Gaussian of `x` pixels sideways and `y` pixels upwards and downwards."""
    values = np.asarray(mask)
    if x > 0:
        values = _convolved(values, x)
    if y > 0:
        values = _convolved(values.T, y).T
    return Image.fromarray(np.ascontiguousarray(values))


def _convolved(values: NDArray[np.uint8], sigma: int) -> NDArray[np.uint8]:
    """Every row convolved, mirrored beyond its ends."""
    kernel = _kernel(sigma)
    reach, width = len(kernel) // 2, values.shape[1]
    padded = np.pad(values, ((0, 0), (reach, reach)), mode="reflect" if width > 1 else "edge").astype(np.int64)
    total = np.full(values.shape, _ONE // 2)
    for shift, weight in enumerate(kernel):
        total += weight * padded[:, shift : shift + width]
    return (total // _ONE).astype(np.uint8)


def _kernel(sigma: int) -> list[int]:
    """A Gaussian in 256 parts, whose rounding errors are passed on towards the middle.

    OpenCV blurs 8 bit pictures so, and with it A1111: a latent at the edge of a mask follows from the last bit.
    """
    reach = int(2.5 * sigma + 0.5)
    exact = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma**2))
    half: list[int] = []
    error = 0.0
    for value in exact[:reach] / exact.sum() * _ONE:
        half.append(round(value + error))
        error += value - half[-1]
    return [*half, _ONE - 2 * sum(half), *reversed(half)]


def covered(mask: Image.Image, padding: int) -> Box | None:
    """The part of the picture that a mask covers, with some padding around; None for a mask that covers nothing."""
    box = mask.getbbox()
    if box is None:
        return None
    left, top, right, bottom = box
    return (
        max(left - padding, 0),
        max(top - padding, 0),
        min(right + padding, mask.width),
        min(bottom + padding, mask.height),
    )


def in_proportion(box: Box, width: int, height: int, bounds: tuple[int, int]) -> Box:
    """The box grown to the proportion of `width` to `height`, as far as the picture of size `bounds` allows."""
    left, top, right, bottom = box
    across, down = right - left, bottom - top
    if across / down > width / height:
        top, bottom = _grown(top, bottom, across / (width / height), bounds[1])
    else:
        left, right = _grown(left, right, down * (width / height), bounds[0])
    return left, top, right, bottom


def _grown(start: int, end: int, wanted: float, limit: int) -> tuple[int, int]:
    """A stretch grown evenly to the wanted length; beyond one end of the picture it grows at the other."""
    missing = int(wanted - (end - start))
    start, end = start - missing // 2, end + missing - missing // 2
    beyond = max(end - limit, 0)
    start, end = start - beyond, end - beyond
    before = max(-start, 0)
    return start + before, min(end + before, limit)


def filled(image: Image.Image, mask: Image.Image) -> Image.Image:
    """The picture with the colours around the masked part run into it."""
    rest = _premultiplied(image, mask)
    result = Image.new("RGBA", image.size)
    for radius, times in _FILL:
        layer = rest.filter(ImageFilter.GaussianBlur(radius)).convert("RGBA")
        for _ in range(times):
            result.alpha_composite(layer)
    return result.convert("RGB")


def cut_out(image: Image.Image, mask: Image.Image) -> Image.Image:
    """The picture, transparent where the mask is white: what is laid over a result to keep the rest as it was."""
    return _premultiplied(image, mask).convert("RGBA")


def _premultiplied(image: Image.Image, mask: Image.Image) -> Image.Image:
    result = Image.new("RGBa", image.size)
    result.paste(image.convert("RGBA").convert("RGBa"), mask=ImageOps.invert(mask))
    return result


def doubled(mask: Image.Image) -> Image.Image:
    """The mask with its soft edge moved outwards, so that what is laid over hides nothing of the edge."""
    return ImageChops.add(mask, mask)
