"""The folder of a grid: a record of what is wanted, the pictures of its cells, and what is made of them."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pochade
from pochade.errors import MalformedFileError, PochadeError, UsageError
from pochade.files.saving import replacing
from pochade.generation.request import Request
from pochade.generation.xyz.axes import Axis
from pochade.generation.xyz.axis_kinds import Styles, find_kind
from pochade.generation.xyz.plot import Cell, Plot

RECORD = "grid.json"
PAGE = "grid.html"
CELLS = "cells"
_SCHEMA = 1


@dataclass(frozen=True)
class Look:
    """How a grid is shown: with a legend, pixels between cells, a sheet for each plane too, a page for a browser."""

    legend: bool = True
    margin: int = 0
    sub_grids: bool = False
    html: bool = True


@dataclass(frozen=True)
class GridRecord:
    """What a grid's folder tells: the plot, how it is shown, the names of its sheets, and why cells, by name, are
    missing."""

    plot: Plot
    look: Look = Look()
    sheets: tuple[str, ...] = ()
    failures: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values; each cell with its pictures and with what it changes in the request."""
        plot = self.plot
        return {
            "schema": _SCHEMA,
            "program": f"pochade {pochade.__version__}",
            "request": plot.request.to_dict(),
            "axes": [{"name": axis.kind.label, "text": axis.text, "values": axis.values} for axis in plot.axes],
            "own_seeds": plot.own_seeds,
            "varied": plot.varied,
            "look": asdict(self.look),
            "sheets": self.sheets,
            "cells": [self._of_cell(cell) for cell in plot.cells],
        }

    def _of_cell(self, cell: Cell) -> dict[str, Any]:
        base, own = self.plot.request.to_dict(), cell.request.to_dict()
        reason = self.failures.get(cell.name)
        return {
            "place": cell.place,
            "labels": cell.labels,
            "pictures": [f"{CELLS}/{name}" for name in names_of(cell)],
            "changes": {name: value for name, value in own.items() if value != base[name]},
        } | ({"error": reason} if reason else {})

    @classmethod
    def of_dict(cls, values: Mapping[str, Any], styles: Styles | None = None) -> "GridRecord":
        """What `to_dict` gave, but for the cells, which follow from the rest."""
        if values["schema"] != _SCHEMA:
            raise UsageError(f"it has form {values['schema']!r}, and this Pochade reads form {_SCHEMA}: update Pochade")
        x, y, z = (_axis(each, styles) for each in values["axes"])
        plot = Plot(Request.from_dict(values["request"]), (x, y, z), bool(values["own_seeds"]), str(values["varied"]))
        return cls(plot, Look(**values["look"]), tuple(map(str, values["sheets"])))


@dataclass(frozen=True)
class GridFolder:
    """A folder for one grid."""

    path: Path

    def read(self, styles: Styles | None = None) -> GridRecord | None:
        """What is recorded there; None in a folder that is empty, or not there yet.

        Raises UsageError for a folder of other things, MalformedFileError for a record that cannot be read.
        """
        file = self.path / RECORD
        if not file.is_file():
            if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
                raise UsageError(f"{self.path} is there already, and is no grid's folder; name another with -o.")
            return None
        try:
            return GridRecord.of_dict(json.loads(file.read_bytes()), styles)
        except KeyError as error:
            raise MalformedFileError(file, f"this record of a grid cannot be read: it lacks {error}.") from error
        except (ValueError, TypeError, AttributeError, RecursionError, PochadeError) as error:
            raise MalformedFileError(file, f"this record of a grid cannot be read: {error}") from error

    def write(self, record: GridRecord) -> None:
        """Keep what is wanted and what became of it."""
        self.path.mkdir(parents=True, exist_ok=True)
        text = json.dumps(record.to_dict(), ensure_ascii=False, indent=1)
        with replacing(self.path / RECORD) as file:
            file.write(text.encode())

    def pictures(self, cell: Cell) -> list[Path]:
        """Where the pictures of a cell are, or will be."""
        return [self.path / CELLS / name for name in names_of(cell)]

    @property
    def page(self) -> Path:
        """Where the page for a browser is."""
        return self.path / PAGE

    def remove_sheets(self, names: Iterable[str]) -> None:
        """Remove sheets that a grid of another size had."""
        for name in names:
            if name.startswith("grid") and Path(name).name == name and name.endswith(".png"):
                (self.path / name).unlink(missing_ok=True)


def names_of(cell: Cell) -> list[str]:
    """The files of a cell's pictures."""
    count = cell.request.count
    return [f"{cell.name}{f'-{number}' if count > 1 else ''}.png" for number in range(1, count + 1)]


def check_same(folder: GridFolder, earlier: Plot, plot: Plot) -> None:
    """Raise UsageError where a folder holds another grid than is wanted; only values of axes may be others."""
    kinds = [[axis.kind.label for axis in each.axes] for each in (earlier, plot)]
    if kinds[0] != kinds[1]:
        raise UsageError(f"{folder.path} holds another grid, of {', '.join(kinds[0])}; name another folder with -o.")
    for name, value in vars(plot.request).items():
        before = getattr(earlier.request, name)
        if before != value:
            raise UsageError(
                f"{folder.path} holds another grid, whose {name} is {before!r} and not {value!r}; name another folder "
                "with -o."
            )


def _axis(values: Mapping[str, Any], styles: Styles | None) -> Axis:
    """A recorded axis. Its values are read anew, but for seeds, which chance may have drawn."""
    axis = Axis.of(find_kind(str(values["name"]), styles), str(values["text"]))
    if not axis.is_seed:
        return axis
    return replace(axis, values=tuple(map(int, values["values"])))
