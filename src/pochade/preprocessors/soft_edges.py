"""Hints from networks that find edges or draw lines."""

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from pochade.preprocessors.filters import Floats, gaussian
from pochade.preprocessors.learned import Network
from pochade.preprocessors.pictures import Mask, Picture, grey

_STEPS = 2  # of brightness above black, that leave no room for a hidden picture in soft edges
_SURE = 0.5
_STROKE = 3.0  # pixels over which edges are averaged before their ridges are looked for, and these made wide again
_HALF, _FAINT = 127, 4
_ALONG = (((0, -1), (0, 1)), ((-1, 0), (1, 0)), ((-1, -1), (1, 1)), ((-1, 1), (1, -1)))
_MOST_LINES = 200
_WHITE = (255, 255, 255)


def softedge(picture: Picture, *, network: Network) -> Picture:
    """Edges, the brighter the surer they are."""
    return grey(255 * network(picture)[0])


def softedge_safe(picture: Picture, *, network: Network) -> Picture:
    """The same in few steps."""
    return grey(255 * np.floor(network(picture)[0] * (_STEPS + 1)) / _STEPS)


def sketch(picture: Picture, *, network: Network) -> Picture:
    """Sure edges in white."""
    return grey(network(picture)[0] > _SURE)


def scribble(picture: Picture, *, network: Network) -> Picture:
    """Edges as strokes of one width, as if drawn by hand."""
    strokes = grey(_ridges(gaussian(softedge(picture, network=network)[:, :, 0], _STROKE)))
    return grey(gaussian(strokes[:, :, 0], _STROKE).round() > _FAINT)


def _ridges(edges: Floats) -> Mask:
    """Pixels that are bright, and no darker than their two neighbours in any one of four directions."""
    height, width = edges.shape
    wide = np.pad(edges, 1)
    is_ridge = np.zeros(edges.shape, np.bool_)
    for pair in _ALONG:
        around = [wide[1 + row : 1 + row + height, 1 + column : 1 + column + width] for row, column in pair]
        is_ridge |= (edges >= around[0]) & (edges >= around[1])
    return is_ridge & (edges > _HALF)


def lineart(picture: Picture, *, network: Network) -> Picture:
    """Light lines on black, from a network that draws dark ones on paper."""
    return ~grey(255 * network(picture)[0])


def mlsd(picture: Picture, value: float = 0.1, distance: float = 0.1, *, network: Network) -> Picture:
    """Straight lines, those that are surer than `value` and longer than `distance` pixels of half the size."""
    height, width = picture.shape[:2]
    sheet = Image.new("RGB", (width, height))
    draw = ImageDraw.Draw(sheet)
    for line in straight_lines(network(picture), value, distance):
        draw.line([int(2 * each) for each in line], _WHITE)
    return np.array(sheet)


def straight_lines(maps: Floats, value: float, distance: float) -> Floats:
    """The lines (x, y, x, y) that maps tell of, [N, 4].

    The first map tells how surely a line has its middle at a place, the next four where it begins and ends from there.
    """
    surely = np.exp(-np.logaddexp(0, -maps[0]))  # a sigmoid that does not overflow
    largest = np.asarray(Image.fromarray(surely).filter(ImageFilter.MaxFilter(3)))
    rows, columns = np.nonzero((surely == largest) & (surely > value))
    first = np.argsort(-surely[rows, columns], kind="stable")[:_MOST_LINES]
    rows, columns = rows[first], columns[first]
    ends = maps[1:5, rows, columns].T
    long = np.hypot(*(ends[:, :2] - ends[:, 2:]).T) > distance
    lines: Floats = (ends + np.stack([columns, rows, columns, rows], axis=1))[long].astype(np.float32)
    return lines
