"""The sheets of a grid: its cells side by side with a legend, on as many pages as it takes."""

from collections.abc import Callable, Iterator
from itertools import product
from math import ceil
from typing import NamedTuple

from PIL import Image

from pochade.generation.parameters.infotext import quote
from pochade.generation.pictures.grids import Label, Layout, Legend, grid, letters_for
from pochade.generation.xyz.axes import Axis
from pochade.generation.xyz.grid_folder import Look
from pochade.generation.xyz.plot import Place, Plot

MOST_PIXELS = 80_000_000  # of a page; Pillow takes a file with somewhat more for an attack
LONGEST_SIDE = 32_000  # browsers show no longer ones

_TITLE = 2  # how much larger letters of the planes' names are
_SCRIPT = "X/Y/Z plot"
_VERSION = ", Version: "


class Part(NamedTuple):
    """The columns, rows and planes of a plot that lie on one page."""

    columns: range
    rows: range
    planes: range

    def places(self, plane: int) -> list[Place]:
        """The places of one plane, row by row."""
        return [(x, y, plane) for y, x in product(self.rows, self.columns)]


def parts_of(counts: Place, size: tuple[int, int], margin: int) -> list[Part]:
    """The pages of a grid with so many columns, rows and planes of cells of one size: one, if that is not too large.

    Else each plane has its own, and as many as it takes.
    """
    columns, rows, planes = counts
    if _fits(columns, rows, planes, size, margin):
        return [Part(range(columns), range(rows), range(planes))]
    across, down = columns, rows
    while max(across, down) > 1 and not _fits(across, down, 1, size, margin):
        if down == 1 or (across > 1 and across * size[0] >= down * size[1]):
            across = ceil(across / 2)
        else:
            down = ceil(down / 2)
    every = product(range(planes), _ranges(rows, down), _ranges(columns, across))
    return [Part(xs, ys, range(plane, plane + 1)) for plane, ys, xs in every]


def sheet(plot: Plot, part: Part, image_of: Callable[[Place], Image.Image], look: Look, titled: bool) -> Image.Image:
    """One page: planes side by side, each with its own legend and, if they are `titled`, below its name."""
    across, down, above = (
        _legend(axis, numbers) if look.legend else () for axis, numbers in zip(plot.axes, part, strict=True)
    )
    layout = Layout(len(part.rows), across, down, look.margin)
    planes = [grid([image_of(place) for place in part.places(plane)], layout) for plane in part.planes]
    if len(planes) == 1 and not (titled and above):
        return planes[0]
    letters = _TITLE * letters_for(*image_of(part.places(part.planes[0])[0]).size)
    return grid(planes, Layout(1, above if titled else (), margin=look.margin, letters=letters))


def with_script(infotext: str, plot: Plot, with_planes: bool = True) -> str:
    """The text of a sheet: that of its first cell, and what its axes are."""
    told = {"Script": _SCRIPT}
    for name, axis in zip("XYZ" if with_planes else "XY", plot.axes, strict=False):
        told |= _described(name, axis, plot.own_seeds) if axis.is_there else {}
    before, version, number = infotext.rpartition(_VERSION)
    text = ", ".join(f"{name}: {quote(value)}" for name, value in told.items())
    return f"{before}, {text}{version}{number}" if version else f"{infotext}, {text}"


def _described(name: str, axis: Axis, own_seeds: bool) -> dict[str, str]:
    told = {f"{name} Type": axis.kind.label, f"{name} Values": axis.text}
    if axis.is_seed and not own_seeds:
        told[f"Fixed {name} Values"] = ", ".join(map(str, axis.values))
    return told


def _legend(axis: Axis, numbers: range) -> Legend:
    return [[Label(axis.labels[number])] for number in numbers] if axis.is_there else ()


def _fits(columns: int, rows: int, planes: int, size: tuple[int, int], margin: int) -> bool:
    """Whether a page has room for them; a legend takes no more than a cell."""
    width = (columns + 1) * (size[0] + margin) * planes
    height = (rows + 1) * (size[1] + margin) * (2 if planes > 1 and rows == 1 else 1)
    return width * height <= MOST_PIXELS and max(width, height) <= LONGEST_SIDE


def _ranges(count: int, most: int) -> Iterator[range]:
    """Equal parts of `count` numbers, as far as that goes, none of more than `most`."""
    parts = ceil(count / most)
    return (range(count * part // parts, count * (part + 1) // parts) for part in range(parts))
