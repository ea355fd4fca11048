"""Sizes of pictures: as people write them, of the first and of the second pass."""

import re
from dataclasses import dataclass

from pochade.errors import UsageError
from pochade.generation.request import Request, is_side
from pochade.generation.rules import shown

Size = tuple[int, int]
_CELL = 8
SMALLEST, LARGEST = 64, 16384
"""Least and most pixels along a side of a picture that is drawn."""
_LONGEST_SIDES = {"JPEG": 65_535, "WEBP": 16_383}
_WRITTEN = re.compile(r"(\d{1,6})\s*[xX×]\s*(\d{1,6})")
_LARGEST_SHARE = 4  # of the pixels that the model was trained for, without the user's asking


@dataclass(frozen=True)
class Enlarged:
    """The second pass: the size to enlarge to, and how many latents are cut off in all, sideways and downwards."""

    size: Size
    cut: Size = (0, 0)


def parse_size(text: str) -> Size:
    """Read WIDTHxHEIGHT.

    >>> parse_size("640x448")
    (640, 448)
    """
    match = _WRITTEN.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"The size is {shown(text)}; it must be WIDTHxHEIGHT in pixels, such as 512x768.")
    return int(match[1]), int(match[2])


def enlarged(request: Request) -> Enlarged | None:
    """The second pass of a resolved request; None without one. Two given sides are covered and the rest is cut off.

    Raises UsageError for a size that no picture may have.
    """
    if not request.draws_twice:
        return None
    found = _enlarged(request)
    if not all(SMALLEST <= side <= LARGEST for side in found.size):
        width, height = found.size
        raise UsageError(f"The second pass would be {width}x{height}; its sides must be from {SMALLEST} to {LARGEST}.")
    return found


def _enlarged(request: Request) -> Enlarged:
    assert request.width is not None and request.height is not None
    width, height = request.width, request.height
    if request.hires_size is None:
        return Enlarged((int(width * request.hires), int(height * request.hires)))
    across, down = request.hires_size
    by_width = (across, across * height // width)
    by_height = (down * width // height, down)
    if not across or not down:
        return Enlarged(by_width if across else by_height)
    size = by_width if width / height < across / down else by_height
    return Enlarged(size, ((size[0] - across) // _CELL, (size[1] - down) // _CELL))


def check_sides(size: Size, format: str) -> None:
    """Refuse a picture that files of an image format cannot hold."""
    longest = _LONGEST_SIDES.get(format, max(size))
    if max(size) > longest:
        found = f"The picture would be {size[0]}x{size[1]}"
        raise UsageError(f"{found}; a side in {format} has {longest} pixels at most: save it as PNG.")


def fitting(image: Size, model: Size) -> Size:
    """The size at which a picture is drawn over when none is given: its own, in whole cells, if it is not too large."""
    most = _LARGEST_SHARE * model[0] * model[1]
    shrink = min(1.0, (most / (image[0] * image[1])) ** 0.5)
    width, height = (max(int(side * shrink) // _CELL * _CELL, SMALLEST) for side in image)
    return width, height


def upscaled(image: Size, factor: int) -> Size:
    """The size at which an upscaler model draws when none is given: so many times the picture's, in whole cells.

    Raises UsageError where that is more than a picture may have.
    """
    width, height = (max(round(side * factor / _CELL) * _CELL, SMALLEST) for side in image)
    if not is_side(width) or not is_side(height):
        raise UsageError(
            f"The picture has {image[0]}x{image[1]} pixels, and {factor} times that is more than can be drawn; give a "
            "smaller one, or enlarge it by another upscaler (pochade upscale)."
        )
    return width, height
