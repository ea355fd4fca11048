"""The page of a grid for a browser: one file beside the pictures that needs nothing else, and no network."""

from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import PurePosixPath
from string import Template
from typing import NamedTuple
from urllib.parse import quote

from pochade.generation.xyz.plot import Cell, Plot

_WIDEST, _NARROWEST = 384, 96  # pixels of a cell at first


class Shown(NamedTuple):
    """A picture as the page tells of it: its file beside the page, its size and its text."""

    file: str
    size: tuple[int, int]
    infotext: str


def page(plot: Plot, pictures: Mapping[str, Sequence[Shown]], reasons: Mapping[str, str]) -> str:
    """The page in HTML, of the pictures of each cell by the cell's name, and reasons why there are none.

    Everything that comes from a request is escaped.
    """
    widest = max(shown.size[0] for each in pictures.values() for shown in each)
    planes: dict[int, list[Cell]] = {}
    for cell in plot.cells:
        planes.setdefault(cell.place[2], []).append(cell)
    tables = (_table(plot, cells, pictures, reasons) for cells in planes.values())
    template = Template(files("pochade.generation.xyz").joinpath("page.html").read_text(encoding="utf-8"))
    return template.substitute(
        title=_escaped(plot.request.prompt or "Grid"),
        width=min(max(widest, _NARROWEST), _WIDEST),
        tables="\n".join(tables),
    )


def _table(
    plot: Plot, cells: Sequence[Cell], pictures: Mapping[str, Sequence[Shown]], reasons: Mapping[str, str]
) -> str:
    columns = plot.counts[0]
    across, down, above = plot.axes
    rows = [cells[start : start + columns] for start in range(0, len(cells), columns)]
    lines = [f"<h2>{_escaped(cells[0].labels[2])}</h2>"] if above.is_there else []
    lines.append("<table>")
    if across.is_there:
        heads = "".join(f'<th scope="col">{_escaped(label)}</th>' for label in across.labels)
        lines.append(f"<thead><tr>{'<td></td>' if down.is_there else ''}{heads}</tr></thead>")
    lines.append("<tbody>")
    for row in rows:
        head = f'<th scope="row">{_escaped(row[0].labels[1])}</th>' if down.is_there else ""
        places = "".join(_place(cell, pictures.get(cell.name, ()), reasons.get(cell.name, "")) for cell in row)
        lines.append(f"<tr>{head}{places}</tr>")
    return "\n".join([*lines, "</tbody>", "</table>"])


def _place(cell: Cell, pictures: Sequence[Shown], reason: str) -> str:
    if not pictures:
        return f"<td><p>{_escaped(reason)}</p></td>"
    title = _escaped(cell.title or "Picture")
    return f"<td>{''.join(_link(title, shown) for shown in pictures)}</td>"


def _link(title: str, shown: Shown) -> str:
    file = quote(str(PurePosixPath(shown.file)))
    width, height = shown.size
    image = f'<img src="{file}" alt="{title}" width="{width}" height="{height}" loading="lazy">'
    return f'<a href="{file}" title="{title}">{image}<pre hidden>{_escaped(shown.infotext)}</pre></a>'


def _escaped(text: str) -> str:
    return escape(text, quote=True)
