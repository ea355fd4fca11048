"""Hints and pictures brought to the size of the picture that is drawn, in the web UI's three ways."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageFilter

from pochade.errors import UnknownNameError, UsageError
from pochade.preprocessors.pictures import Picture, checked, grey, resampled
from pochade.preprocessors.thinning import thinned

STRETCH, CROP, FILL = RESIZE_MODES = ("Just Resize", "Crop and Resize", "Resize and Fill")
_FLAT_COLOURS = range(2, 200)  # a map with so many colours is one of flat areas, which must not be mixed
_BLACK, _WHITE = 16, 240  # a map of two greys beyond these is black and white
_HALF = 127
_MOST_PIXELS = 16_000_000  # to which a picture is enlarged before a preprocessor sees it
_LONGEST = 8  # times as long as wide; what is longer is enlarged to as many pixels as that would have
_FAINT = 64  # what a line of one pixel leaves at least between its pixels when it is enlarged


def fitted(picture: Picture, width: int, height: int, mode: str = CROP, fill: Sequence[int] | None = None) -> Picture:
    """A picture or map at this size: stretched, or cut at two sides, or with a border at two sides.

    The border has the colour `fill`, or the median of the colours at the picture's rim. Maps keep what they are:
    flat colours stay unmixed, black and white stay so, and lines one pixel wide remain one pixel wide.
    """
    if mode not in RESIZE_MODES:
        raise UnknownNameError("resize mode", mode, RESIZE_MODES)
    if width < 1 or height < 1:
        raise UsageError(f"The size {width}x{height} cannot be; both sides must be 1 pixel or more.")
    old_height, old_width = checked(picture).shape[:2]
    if mode == STRETCH:
        return scaled(picture, width, height)
    factors = height / old_height, width / old_width
    factor = max(factors) if mode == CROP else min(factors)
    size = max(1, round(old_width * factor)), max(1, round(old_height * factor))
    inner = scaled(picture, *size)
    return _cut(inner, width, height) if mode == CROP else _framed(inner, width, height, fill)


def scaled(picture: Picture, width: int, height: int) -> Picture:
    """A picture or map stretched to this size, by the way that suits what it is."""
    if picture.shape[:2] == (height, width):
        return picture
    shrinks = width * height < picture.shape[0] * picture.shape[1]
    how = Image.Resampling.BOX if shrinks else Image.Resampling.BICUBIC
    smooth: Picture = resampled(picture, width, height, how)
    colours = _colours(picture)
    if not _is_black_and_white(colours):
        flat = len(colours) in _FLAT_COLOURS
        return resampled(picture, width, height, Image.Resampling.NEAREST) if flat else smooth
    if _is_of_lines(picture):
        return grey(thinned(smooth.max(axis=2) > (0 if shrinks else _FAINT)))
    return grey(smooth.max(axis=2) > _HALF)


def _colours(picture: Picture) -> Picture:
    """All colours that occur, [N, 3]; each pixel is read as one number, which sorts much faster."""
    numbers = np.unique(picture.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32))
    return np.stack([numbers >> 16, (numbers >> 8) & 255, numbers & 255], axis=1).astype(np.uint8)


def _is_black_and_white(colours: Picture) -> bool:
    is_grey = bool((colours == colours[:, :1]).all())
    return len(colours) == 2 and is_grey and colours.min() < _BLACK and colours.max() > _WHITE


def _is_of_lines(picture: Picture) -> bool:
    """Whether most of the white of a black and white map is in lines of one or two pixels, too thin for a square of
    three by three.
    """
    white = Image.fromarray(picture.max(axis=2))
    broad = white.filter(ImageFilter.MinFilter(3)).filter(ImageFilter.MaxFilter(3))
    before, after = (int(np.count_nonzero(np.asarray(each) > _HALF)) for each in (white, broad))
    return 2 * (before - after) > before


def _cut(picture: Picture, width: int, height: int) -> Picture:
    """The middle."""
    top, left = (picture.shape[0] - height) // 2, (picture.shape[1] - width) // 2
    return picture[max(0, top) :, max(0, left) :][:height, :width]


def _framed(picture: Picture, width: int, height: int, fill: Sequence[int] | None) -> Picture:
    """The picture in the middle of one colour."""
    rim = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    canvas = np.empty((height, width, 3), np.uint8)
    canvas[:] = np.median(rim, axis=0) if fill is None else fill
    rows, columns = picture.shape[:2]
    top, left = (height - rows) // 2, (width - columns) // 2
    canvas[top : top + rows, left : left + columns] = picture
    return canvas


def at_resolution(picture: Picture, side: int) -> Picture:
    """A picture whose shorter side is `side`: what a preprocessor is given, so that its lines have a known width.

    One that would be far too large so, mostly because it is very long and thin, is enlarged less.
    """
    if side < 1:
        raise UsageError(f"The preprocessor's resolution is {side}; it must be 1 pixel or more.")
    height, width = checked(picture).shape[:2]
    most = min(_MOST_PIXELS, _LONGEST * side**2)
    factor = min(side / min(height, width), max(1.0, (most / (height * width)) ** 0.5))
    how = Image.Resampling.BICUBIC if factor > 1 else Image.Resampling.BOX
    return resampled(picture, round(width * factor), round(height * factor), how)


def perfect_resolution(picture: Picture, width: int, height: int, mode: str = CROP) -> int:
    """The resolution at which each pixel of the hint becomes one of the picture that is drawn ("pixel perfect")."""
    old_height, old_width = picture.shape[:2]
    factors = height / old_height, width / old_width
    side: float = (min(factors) if mode == FILL else max(factors)) * min(old_height, old_width)
    return max(1, round(side))
