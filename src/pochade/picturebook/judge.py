"""The judge: names what a picture of the picture-book shows, without any learning.

What differs from the nearest background is foreground; each island of it gets the colour of most of its
pixels and the name of the painter's own silhouette that fits best.
"""

from dataclasses import dataclass
from functools import cache
from itertools import permutations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from .blobs import Blob, Box, Mask, find_blobs, grow, shrink, silhouette
from .manner import manner
from .objects import OBJECTS
from .paint import backdrop, paint
from .palette import BACKGROUNDS, COLOURS, HORIZON, SIZE, shade
from .scene import STYLES, Scene, Thing

Pixels = NDArray[np.float32]

_BAND = 2  # rows on either side of the horizon that may show a mixture
_FOREGROUND = 32.0  # least RGB distance between a thing and what lies behind it
_LEAST_AREA = 150  # smaller islands are specks
_LEAST_SHARE = 0.12  # ... and so are islands much smaller than the largest one
_COVER_COST = 0.1  # how unlikely a thin coat of paint is
_TEMPLATE_SIZES = (44, 68)


@dataclass(frozen=True)
class Found:
    """One object in a picture. `box` is left, top, right, bottom; `fit` says how well the silhouette matches (<= 1)."""

    object: str
    colour: str
    box: Box
    fit: float

    @property
    def centre(self) -> tuple[float, float]:
        """The middle of the box."""
        left, top, right, bottom = self.box
        return ((left + right) / 2, (top + bottom) / 2)


@dataclass(frozen=True)
class Judgement:
    """What a picture shows: its background, its things (largest first) and its style."""

    background: str
    things: tuple[Found, ...]
    style: str

    @property
    def relation(self) -> str | None:
        """How the first of two things stands to the second; None unless there are exactly two."""
        return relation_of(*self.things) if len(self.things) == 2 else None


def relation_of(first: Found, second: Found) -> str:
    """The main direction from the second thing to the first."""
    across, down = (a - b for a, b in zip(first.centre, second.centre, strict=True))
    if abs(across) > abs(down):
        return "left of" if across < 0 else "right of"
    return "above" if down < 0 else "below"


def judge(picture: Image.Image | np.ndarray) -> Judgement:
    """Name background, things and style of a 128 x 128 picture (others are resized)."""
    image = _image(picture)
    sharp = np.asarray(image, np.float32)
    smooth = np.asarray(image.filter(ImageFilter.MedianFilter(3)), np.float32)
    background = _background(smooth)
    distance = _difference(smooth, background)
    blobs = _things(distance > _FOREGROUND)
    found = tuple(_name(blob, smooth, background) for blob in blobs)
    return Judgement(background, found, manner(sharp, distance, blobs))


def score(picture: Image.Image | np.ndarray, scene: Scene) -> dict[str, bool]:
    """Which attributes of a scene a picture shows: object, colour, background, relation, and all of them."""
    return compare(judge(picture), scene)


def compare(seen: Judgement, scene: Scene) -> dict[str, bool]:
    """Which attributes of a scene were seen.

    With two things, `object` and `colour` mean both; a missing or a superfluous thing counts as a wrong object.
    A relation counts only between the right objects; a scene of one thing has none to get wrong.
    """
    marks = _best_marks(seen, scene)
    marks["background"] = seen.background == scene.background
    return {**marks, "all": all(marks.values())}


def _best_marks(seen: Judgement, scene: Scene) -> dict[str, bool]:
    """The marks of the kindest way to assign what was found to what was asked for."""
    failed = {"object": False, "colour": False, "relation": scene.relation is None}
    count = len(scene.things)
    candidates = (_marks(found, scene, len(seen.things)) for found in permutations(seen.things[:3], count))
    return max(candidates, key=lambda marks: (marks["object"], sum(marks.values())), default=failed)


def _marks(found: tuple[Found, ...], scene: Scene, total: int) -> dict[str, bool]:
    pairs = list(zip(found, scene.things, strict=True))
    objects = all(one.object == thing.object for one, thing in pairs)
    return {
        "object": objects and total == len(scene.things),
        "colour": all(one.colour == thing.colour for one, thing in pairs),
        "relation": scene.relation is None or (objects and relation_of(found[0], found[1]) == scene.relation),
    }


def _image(picture: Image.Image | np.ndarray) -> Image.Image:
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(np.asarray(picture, np.uint8))
    image = image.convert("RGB")
    return image if image.size == (SIZE, SIZE) else image.resize((SIZE, SIZE), Image.Resampling.LANCZOS)


def _background(pixels: Pixels) -> str:
    """The background that leaves least unexplained; large differences count no more than clear ones."""
    return min(BACKGROUNDS, key=lambda name: float(np.minimum(_difference(pixels[::2, ::2], name, 2), 60).mean()))


def _difference(pixels: Pixels, background: str, stride: int = 1) -> Pixels:
    """RGB distance of every pixel to what may lie behind it: one tone, or any mixture of two near an edge."""
    here, step, length = _behind(background)
    here, step, length = here[::stride, ::stride], step[::stride, ::stride], length[::stride, ::stride]
    away = pixels - here
    share = np.clip(_dot(away, step) / length, 0, 1)
    away -= share[..., None] * step
    return np.sqrt(_dot(away, away))


def _dot(one: Pixels, other: Pixels) -> Pixels:
    """Products summed over the colour channels."""
    product: Pixels = np.einsum("...c,...c->...", one, other)
    return product


@cache
def _behind(name: str) -> tuple[Pixels, Pixels, Pixels]:
    """For every pixel a tone, the way to the other tone close to it (zero far from edges), and that way's square."""
    background = BACKGROUNDS[name]
    here = np.empty((SIZE, SIZE, 3), np.float32)
    here[:HORIZON], here[HORIZON:] = background.sky, background.ground
    step = np.zeros_like(here)
    step[HORIZON - _BAND : HORIZON] = np.subtract(background.ground, background.sky)
    step[HORIZON : HORIZON + _BAND] = np.subtract(background.sky, background.ground)
    if background.stars:
        near = grow((np.asarray(backdrop(name), np.float32) != here).any(-1), 3)
        step[near] = np.subtract(background.star_tone, background.sky)
    return here, step, np.maximum((step**2).sum(-1), 1)


def _things(foreground: Mask) -> list[Blob]:
    blobs = find_blobs(foreground, _LEAST_AREA)
    return [blob for blob in blobs if blob.area >= _LEAST_SHARE * blobs[0].area]


def _name(blob: Blob, pixels: Pixels, background: str) -> Found:
    names, templates = _templates()
    fits = templates @ silhouette(blob.filled)
    best = int(fits.argmax())
    return Found(names[best], _colour(blob, pixels, background), blob.box, float(fits[best]))


@cache
def _templates() -> tuple[list[str], Pixels]:
    """The painter's own silhouettes of every object in every style at two sizes, seen as the judge sees."""
    names, vectors = [], []
    for name in OBJECTS:
        for style in STYLES:
            for size in _TEMPLATE_SIZES:
                scene = Scene((Thing(name, "red", SIZE // 2, SIZE // 2, size),), None, "white background", style)
                pixels = np.asarray(paint(scene), np.float32)
                blob = _things(_difference(pixels, scene.background) > _FOREGROUND)[0]
                names.append(name)
                vectors.append(silhouette(blob.filled))
    return names, np.stack(vectors)


def _colour(blob: Blob, pixels: Pixels, background: str) -> str:
    """The colour that explains most pixels, each seen as that colour or its shade over the background."""
    insides = (shrink(blob.pixels, depth) for depth in (3, 1, 0))
    chosen = next((inside for inside in insides if inside.sum() >= 60), blob.pixels)
    names, tones = _inks()
    some = np.flatnonzero(chosen)
    some = some[:: len(some) // 400 + 1]
    behind = _behind(background)[0].reshape(-1, 1, 3)[some]
    away, toward = pixels.reshape(-1, 1, 3)[some] - behind, tones - behind
    length = _dot(toward, toward)
    cover = np.clip(_dot(away, toward) / np.maximum(length, 1), 0.3, 1)
    rest = away - cover[..., None] * toward
    cost = _dot(rest, rest) + _COVER_COST * (1 - cover) ** 2 * length
    votes = np.bincount(cost.argmin(1) % len(names), minlength=len(names))
    return names[int(votes.argmax())]


@cache
def _inks() -> tuple[list[str], Pixels]:
    """Colour names, and their fills followed by their shades."""
    tones = [*COLOURS.values(), *(shade(colour) for colour in COLOURS.values())]
    return list(COLOURS), np.array(tones, np.float32)
