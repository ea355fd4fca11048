"""The finished cells of a grid, made into sheets and a page."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import ceil, sqrt
from pathlib import Path

from PIL import Image

from pochade.files.saving import replacing
from pochade.generation.picture import Picture, read_metadata
from pochade.generation.pictures.grids import Layout, card, grid
from pochade.generation.xyz.grid_folder import CELLS, GridFolder, GridRecord
from pochade.generation.xyz.page import Shown, page
from pochade.generation.xyz.plot import Cell, Place
from pochade.generation.xyz.sheets import Part, parts_of, sheet, with_script


@dataclass(frozen=True)
class Gallery:
    """What lies in a grid's folder; `reasons` say of a cell, by its name, why it has no pictures."""

    folder: GridFolder
    record: GridRecord
    reasons: Mapping[str, str]

    @cached_property
    def shown(self) -> dict[str, list[Shown]]:
        """The pictures of each cell that is complete, by the cell's name."""
        cells = {cell.name: cell for cell in self.record.plot.cells if cell.name not in self.reasons}
        return {name: list(map(_shown, self.folder.pictures(cell))) for name, cell in cells.items()}

    def sheets(self) -> Iterator[tuple[str, Picture]]:
        """The pages of the whole grid, then those of its planes if they are wanted, each with the name of its file."""
        plot, look = self.record.plot, self.record.look
        parts = parts_of(plot.counts, self._size, look.margin)
        for number, part in enumerate(parts, 1):
            yield _numbered("grid", number, len(parts)), self._sheet(part)
        if not look.sub_grids or plot.counts[2] == 1:
            return
        columns, rows, planes = plot.counts
        for plane in range(planes):
            parts = parts_of((columns, rows, 1), self._size, look.margin)
            for number, part in enumerate(parts, 1):
                own = part._replace(planes=range(plane, plane + 1))
                yield _numbered(f"grid-z{plane + 1}", number, len(parts)), self._sheet(own, is_plane=True)

    def write_page(self) -> Path:
        """Write the page for a browser."""
        text = page(self.record.plot, self.shown, self.reasons)
        with replacing(self.folder.page) as file:
            file.write(text.encode())
        return self.folder.page

    def _sheet(self, part: Part, is_plane: bool = False) -> Picture:
        plot, look = self.record.plot, self.record.look
        image = sheet(plot, part, self._image, look, titled=not is_plane)
        first = next((cell for cell in self._cells.values() if cell.name in self.shown and _lies_in(cell, part)), None)
        text = self.shown[first.name][0].infotext if first else ""
        return Picture(image, infotext=with_script(text, plot, with_planes=not is_plane))

    @cached_property
    def _cells(self) -> dict[Place, Cell]:
        return {cell.place: cell for cell in self.record.plot.cells}

    @cached_property
    def _size(self) -> tuple[int, int]:
        """The size of the largest cell, whose pictures lie side by side."""
        width, height = (max(sides) for sides in zip(*map(_size_of, self.shown.values()), strict=True))
        return width, height

    def _image(self, place: Place) -> Image.Image:
        """A cell on a sheet."""
        cell = self._cells[place]
        if cell.name in self.reasons:
            return card(self._size, self.reasons[cell.name])
        images = [Picture.open(path).image for path in self.folder.pictures(cell)]
        return images[0] if len(images) == 1 else grid(images, Layout(_rows(len(images))))


def _shown(path: Path) -> Shown:
    found = read_metadata(path)
    return Shown(f"{CELLS}/{path.name}", found.size, found.infotext)


def _size_of(pictures: list[Shown]) -> tuple[int, int]:
    rows = _rows(len(pictures))
    width, height = (max(shown.size[side] for shown in pictures) for side in (0, 1))
    return width * ceil(len(pictures) / rows), height * rows


def _rows(count: int) -> int:
    """How many rows pictures of one request lie in, as A1111 has it."""
    return round(sqrt(count))


def _lies_in(cell: Cell, part: Part) -> bool:
    return all(index in numbers for index, numbers in zip(cell.place, part, strict=True))


def _numbered(name: str, number: int, count: int) -> str:
    return f"{name}-{number}.png" if count > 1 else f"{name}.png"
