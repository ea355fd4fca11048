"""Colours and backgrounds of the picture-book, and which colours stand out from which background."""

from dataclasses import dataclass
from functools import cache

import numpy as np

RGB = tuple[int, int, int]

SIZE = 128
HORIZON = 84
CONTRAST = 36.0  # least Lab distance between a thing's fill and any tone behind it

COLOURS: dict[str, RGB] = {
    "red": (222, 28, 36),
    "orange": (255, 136, 0),
    "yellow": (255, 224, 30),
    "green": (20, 140, 50),
    "blue": (30, 80, 230),
    "purple": (140, 40, 180),
    "pink": (255, 125, 195),
    "brown": (125, 70, 30),
    "white": (255, 255, 255),
    "black": (20, 20, 24),
}


@dataclass(frozen=True)
class Background:
    """What lies behind the things: the tone above the horizon, the tone below it, and tiny stars if any."""

    sky: RGB
    ground: RGB
    stars: tuple[tuple[int, int], ...] = ()
    star_tone: RGB = (255, 240, 190)

    @property
    def tones(self) -> tuple[RGB, RGB]:
        """Both large tones; they are equal on a plain background."""
        return (self.sky, self.ground)


def _plain(tone: RGB) -> Background:
    return Background(tone, tone)


_STARS = ((10, 14), (50, 6), (90, 10), (118, 30), (6, 58), (122, 78), (14, 106), (62, 122), (106, 118))
BACKGROUNDS: dict[str, Background] = {
    "white background": _plain((255, 255, 255)),
    "gray background": _plain((150, 150, 154)),
    "night sky": Background((20, 26, 78), (20, 26, 78), _STARS),
    "day sky": _plain((125, 195, 250)),
    "meadow": Background((205, 235, 255), (140, 205, 90)),
    "beach": Background((70, 195, 205), (247, 224, 165)),
    "snow": Background((178, 192, 224), (250, 252, 255)),
    "sunset": Background((255, 172, 125), (105, 62, 112)),
}


def shade(colour: RGB) -> RGB:
    """The darker companion of a fill (of black: a lighter one)."""
    if max(colour) < 60:
        return (70, 70, 80)
    red, green, blue = (round(channel * 0.8) for channel in colour)
    return (red, green, blue)


def lab(tones: np.ndarray) -> np.ndarray:
    """CIE Lab of sRGB values 0-255 in the last axis (D65)."""
    scaled = np.asarray(tones, np.float64) / 255
    linear = np.where(scaled <= 0.04045, scaled / 12.92, ((scaled + 0.055) / 1.055) ** 2.4)
    matrix = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = linear @ matrix.T / np.array([0.9505, 1.0, 1.089])
    root = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    x, y, z = np.moveaxis(root, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


@cache
def visible_colours(background: str) -> tuple[str, ...]:
    """The colour names that stand out clearly from every tone of a background."""
    tones = lab(np.array(BACKGROUNDS[background].tones))

    def stands_out(name: str) -> bool:
        fills = lab(np.array([COLOURS[name], shade(COLOURS[name])]))
        gaps = np.linalg.norm(fills[:, None] - tones[None], axis=-1)
        return bool(gaps[0].min() >= CONTRAST and gaps[1].min() >= CONTRAST / 2)

    return tuple(name for name in COLOURS if stands_out(name))
