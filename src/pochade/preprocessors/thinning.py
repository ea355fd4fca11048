"""Lines of any width, thinned to one pixel.

Guo & Hall, "Parallel thinning with two-subiteration algorithms" (1989): unlike older ways it leaves a point of a square
of two by two pixels, and does not tear lines that run askew.
"""

import numpy as np

from pochade.preprocessors.pictures import Mask

_AROUND = ((-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1))  # clockwise from above


def thinned(mask: Mask) -> Mask:
    """The lines of a yes/no picture one pixel wide, joined as they were."""
    while True:
        peeled = _peeled(_peeled(mask, 0), 4)
        if np.array_equal(peeled, mask):
            return peeled
        mask = peeled


def _peeled(mask: Mask, first: int) -> Mask:
    """The lines without one layer of the rim at two sides; `first` is the place around a pixel to begin from."""
    height, width = mask.shape
    wide = np.pad(mask, 1)
    places = [_AROUND[(first + step) % len(_AROUND)] for step in range(len(_AROUND))]
    a, b, c, d, e, f, g, h = (
        wide[1 + row : 1 + row + height, 1 + column : 1 + column + width] for row, column in places
    )
    strands = [~a & (b | c), ~c & (d | e), ~e & (f | g), ~g & (h | a)]
    pairs = np.minimum(np.sum([h | a, b | c, d | e, f | g], axis=0), np.sum([a | b, c | d, e | f, g | h], axis=0))
    looks_away = ~((e | f | ~h) & g)
    rim: Mask = (np.sum(strands, axis=0) == 1) & (pairs >= 2) & (pairs <= 3) & looks_away
    return mask & ~rim
