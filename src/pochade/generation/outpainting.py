"""Outpainting: a picture grows at its sides, piece by piece, each drawn with what lies beside it in sight."""

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from PIL import Image, ImageDraw

from pochade.errors import UsageError
from pochade.events import Event, Made, Step, Warned
from pochade.families import Variant
from pochade.generation.picture import Picture
from pochade.generation.pictures.canvas import flattened
from pochade.generation.pictures.inputs import Inputs
from pochade.generation.pictures.masks import Box, blurred
from pochade.generation.pictures.matched_noise import with_matched_noise
from pochade.generation.request import LARGEST_SEED, Request
from pochade.sampling.philox import Philox

_CELL = 8
_LEAST = 64  # side of a window
_OVERLAP = 4  # windows along an edge have this part of a window in common
_SEAM_IN_SIGMAS = 5  # half of a seam is drawn anew, and half is blended
_SIDES = ("left", "right", "up", "down")

Draw: TypeAlias = Callable[[Request, Inputs], Iterator[Event]]
Size: TypeAlias = tuple[int, int]


@dataclass(frozen=True)
class Piece:
    """A part to be drawn, in pixels of the grown picture.

    `window` is all that the model gets to see; it may reach beyond `extent`, which is what there is when the piece is
    done. `new` is what is missing in it.
    """

    window: Box
    extent: Box
    new: Box

    @property
    def size(self) -> Size:
        """Width and height of the window."""
        return self.window[2] - self.window[0], self.window[3] - self.window[1]

    @property
    def inside(self) -> Box:
        """The window without what is beyond the extent."""
        (left, top, right, bottom), extent = self.window, self.extent
        return max(left, extent[0]), max(top, extent[1]), min(right, extent[2]), min(bottom, extent[3])

    def mask(self, seam: int) -> Image.Image:
        """White is drawn anew; its edge is soft, and reaches `seam` pixels into what is there at most."""
        sigma = seam // _SEAM_IN_SIGMAS
        inset = seam - int(2.5 * sigma + 0.5)  # a blur reaches so far
        x, y = (_widened(self.new[axis::2], self.extent[axis::2], self.window[axis::2], inset) for axis in range(2))
        mask = Image.new("L", self.size)
        ImageDraw.Draw(mask).rectangle((x[0], y[0], x[1] - 1, y[1] - 1), fill=255)
        return blurred(mask, sigma, sigma)

    def seen(self, sheet: Image.Image) -> Image.Image:
        """The window's part of the grown picture; beyond the extent its outermost pixels are repeated."""
        left, top, right, bottom = (abs(edge - end) for edge, end in zip(self.inside, self.window, strict=True))
        pixels = np.asarray(sheet.crop(self.inside))
        return Image.fromarray(np.pad(pixels, ((top, bottom), (left, right), (0, 0)), mode="edge"))

    def put(self, drawn: Image.Image, sheet: Image.Image) -> None:
        """Lay the drawn window into the grown picture."""
        x, y = self.window[:2]
        left, top, right, bottom = self.inside
        sheet.paste(drawn.crop((left - x, top - y, right - x, bottom - y)), (left, top))


def _widened(new: Sequence[int], extent: Sequence[int], window: Sequence[int], inset: int) -> tuple[int, int]:
    """The ends of what is new, counted in the window, moved into what is there; at the end of all, to the window's."""
    start = window[0] if new[0] == extent[0] else new[0] - inset
    end = window[1] if new[1] == extent[1] else new[1] + inset
    return start - window[0], end - window[0]


def is_outpainting(request: Request) -> bool:
    """Whether a request lets a picture grow."""
    return any(getattr(request, side) for side in _SIDES)


def check_outpainting(inputs: Inputs, variant: Variant) -> None:
    """Raise UsageError unless these pictures can grow by such a model."""
    if variant.noises_picture:
        raise UsageError("An upscaler model makes pictures larger, but it adds nothing to them; use another model.")
    if not inputs.images:
        raise UsageError("Which picture shall grow? Give it (--image FILE).")
    if inputs.mask or inputs.depth or any(inputs.controls):
        raise UsageError(
            "A picture that grows takes no mask, no depth map and no pictures for controls: these fit the old one only."
        )
    if len({image.size for image in inputs.images}) > 1:
        raise UsageError("The pictures are of different sizes; let them grow one by one.")


def outpainting(draw: Draw, request: Request, inputs: Inputs) -> Iterator[Event]:
    """Let pictures grow, as a resolved request says: events of all pieces as of one run, and Made with each Picture.

    `draw` runs a request for one piece.
    """
    pieces = plan(inputs.images[0].size, request)
    batches = range(0, request.count, request.batch)
    total = len(batches) * len(pieces)
    told: set[str] = set()
    for number, first in enumerate(batches):
        indices = range(first, min(first + request.batch, request.count))
        sheets = [_grown(inputs.images[index % len(inputs.images)], request) for index in indices]
        for place, piece in enumerate(pieces):
            part = _part(request, piece, indices, place)
            before = number * len(pieces) + place
            drawn = yield from _told(draw(part, _seen(part, piece, sheets, request)), before, total, told)
            for image, sheet in zip(drawn, sheets, strict=True):
                piece.put(image, sheet)
        for index, sheet in zip(indices, sheets, strict=True):
            yield Made(Picture.made(sheet, request, index, inputs))


def plan(size: Size, request: Request) -> list[Piece]:
    """The pieces by which a picture of this size grows, in turn: left, right, up, down.

    Windows are at most as large as the request's width and height, and at most half of that is new in each.
    """
    assert request.width is not None and request.height is not None
    width, height = size
    extent = (request.left, request.up, request.left + width, request.up + height)
    pieces: list[Piece] = []
    for side, (axis, end) in {"left": (0, 0), "right": (0, 2), "up": (1, 1), "down": (1, 3)}.items():
        most = (request.width, request.height)
        for pixels in _steps(getattr(request, side), most[axis] // 2):
            grown = list(extent)
            grown[end] += pixels if end > 1 else -pixels
            before, extent = extent, (grown[0], grown[1], grown[2], grown[3])
            pieces += _pieces(before, extent, axis, most)
    return pieces


def _steps(pixels: int, most: int) -> list[int]:
    """A way in steps that are nearly equal."""
    count = -(-pixels // most)
    return [pixels * (step + 1) // count - pixels * step // count for step in range(count)]


def _pieces(before: Box, extent: Box, axis: int, most: Size) -> Iterator[Piece]:
    """The windows along an edge that moved along `axis`, 0 sideways and 1 up or down."""
    other = 1 - axis
    start, end = extent[axis], extent[axis + 2]
    side = _side(end - start, most[axis])
    moved_back = before[axis] != start
    along = (start, start + side) if moved_back else (end - side, end)
    strip = (start, before[axis]) if moved_back else (before[axis + 2], end)
    for window, new in _across(extent[other], extent[other + 2], most[other]):
        yield Piece(_box(axis, along, window), extent, _box(axis, strip, new))


def _across(start: int, end: int, most: int) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """The windows along an edge from `start` to `end`, each with what the ones before it left."""
    side = _side(end - start, most)
    if side >= end - start:
        yield (start, start + side), (start, end)
        return
    shared = side // _OVERLAP
    count = -(-(end - start - shared) // (side - shared))
    starts = [start + (end - start - side) * number // (count - 1) for number in range(count)]
    ends = [start, *(each + side for each in starts)]
    for first, (done, last) in zip(starts, pairwise(ends), strict=True):
        yield (first, last), (done, last)


def _side(length: int, most: int) -> int:
    """The side of a window for a length: in whole cells, and no smaller or larger than can be drawn."""
    return min(max(-(-length // _CELL) * _CELL, _LEAST), most)


def _box(axis: int, along: tuple[int, int], across: tuple[int, int]) -> Box:
    x, y = (along, across) if axis == 0 else (across, along)
    return x[0], y[0], x[1], y[1]


def _grown(image: Image.Image, request: Request) -> Image.Image:
    """A black sheet with the picture in its place."""
    width, height = image.size
    sheet = Image.new("RGB", (request.left + width + request.right, request.up + height + request.down))
    sheet.paste(flattened(image, request.background), (request.left, request.up))
    return sheet


def _part(request: Request, piece: Piece, indices: range, place: int) -> Request:
    """The request for piece number `place` of a batch: inpainting with a mask that is ready for use."""
    width, height = piece.size
    return replace(
        request,
        left=0,
        right=0,
        up=0,
        down=0,
        image="",
        resize_mode="Just resize",
        width=width,
        height=height,
        count=len(indices),
        batch=len(indices),
        mask="",
        mask_blur=0,
        mask_blur_y=None,
        invert_mask=False,
        only_masked=False,
        paste_back=True,
        fill="original" if request.outpaint_fill == "matched noise" else request.outpaint_fill,
        seed=_moved(request.seed_of(indices.start), place),
        variation_seed=_moved(request.variation_seed_of(indices.start), place),
    )


def _moved(seed: int, place: int) -> int:
    """Another seed for each piece: the same noise in each would repeat the same shapes."""
    return (seed + place) % LARGEST_SEED


def _seen(part: Request, piece: Piece, sheets: Sequence[Image.Image], request: Request) -> Inputs:
    mask = piece.mask(request.seam)
    images = [piece.seen(sheet) for sheet in sheets]
    if request.outpaint_fill == "matched noise":
        images = [
            with_matched_noise(image, mask, Philox(part.seed + place).randn((image.height, image.width, 4)))
            for place, image in enumerate(images)
        ]
    without = (None,) * len(request.controls)
    return Inputs(tuple(images), mask, controls=without, control_masks=without)


def _told(
    events: Iterator[Event], before: int, total: int, told: set[str]
) -> Generator[Event, None, list[Image.Image]]:
    """The events of piece number `before` as of a part of all; returns its pictures.

    A warning that was `told` already is left out.
    """
    images = []
    for event in events:
        if isinstance(event, Made):
            images.append(event.result.image)
        elif isinstance(event, Step):
            yield replace(event, done=before * event.total + event.done, total=total * event.total)
        elif not isinstance(event, Warned):
            yield event
        elif event.message not in told:
            told.add(event.message)
            yield event
    return images
