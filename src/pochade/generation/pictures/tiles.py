"""Cut a picture into overlapping tiles, work on one at a time, and put the results together without seams."""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from math import ceil

import numpy as np

from pochade.events import Step
from pochade.files import Array


@dataclass(frozen=True)
class Tiles:
    """Squares of `side` pixels, of which neighbours share `overlap` at least; a side of 0 leaves pictures whole.

    They lie as in A1111: spread evenly, each blended into what is left of it and above it along `overlap` pixels.
    """

    side: int = 192
    overlap: int = 8

    def spans(self, length: int) -> list[slice]:
        """The tiles along one side of a picture."""
        if not self.side or length <= self.side:
            return [slice(0, length)]
        count = ceil((length - self.overlap) / (self.side - self.overlap))
        starts = [number * (length - self.side) // (count - 1) for number in range(count)]
        return [slice(start, start + self.side) for start in starts]

    def count(self, size: tuple[int, int]) -> int:
        """How many tiles a picture of this size has."""
        return len(self.spans(size[0])) * len(self.spans(size[1]))


def enlarged(
    pixels: Array, factor: int, tiles: Tiles, enlarge: Callable[[Array], Array], steps: Iterator[Step]
) -> Generator[Step, None, Array]:
    """Pixels [H, W, C], uint8, to [factor * H, factor * W, C]; one of `steps` follows each tile.

    Beside the result only one tile and the edges of its neighbours are held in memory.
    """
    height, width, channels = pixels.shape
    result = np.empty((factor * height, factor * width, channels), np.uint8)
    shared = factor * tiles.overlap
    for rows in tiles.spans(height):
        band = result[factor * rows.start : factor * rows.stop]
        above = band[:shared].copy()
        for columns in tiles.spans(width):
            tile = enlarge(pixels[rows, columns])
            room = band[:, factor * columns.start : factor * columns.stop]
            if columns.start:
                tile[:, :shared] = _blended(room[:, :shared], tile[:, :shared], axis=1)
            room[:] = tile
            yield next(steps)
        if rows.start:
            band[:shared] = _blended(above, band[:shared], axis=0)
    return result


def _blended(before: Array, after: Array, axis: int) -> Array:
    """From one to the other along an axis of [H, W, C]."""
    length = before.shape[axis]
    share = np.expand_dims(np.arange(length, dtype=np.float32) / max(length, 1), (1 - axis, 2))
    mixed: Array = (before + (after.astype(np.float32) - before) * share).round().astype(np.uint8)
    return mixed
