"""`pochade grid`: draw a request with every choice of values, laid out to be compared."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pochade.cli.common import Json, Models, is_given
from pochade.cli.options import TASKS, with_request
from pochade.cli.wording import StylesFile, known_styles
from pochade.errors import MissingFileError, UsageError
from pochade.generation.request import Request

if TYPE_CHECKING:
    from pochade.generation.xyz.axis_kinds import Styles
    from pochade.generation.xyz.drawing import GridDrawing
    from pochade.generation.xyz.grid_folder import GridFolder, GridRecord
    from pochade.generation.xyz.plot import Cell

app = typer.Typer(add_completion=False)

_PANEL = "Grid"
_AXIS = "NAME=VALUES"
_WITH_RESUME = {"resume", "models", "styles_file", "as_json"}


def _option(*names: str, help: str, metavar: str | None = None, least: int | None = None) -> Any:
    return typer.Option(*names, help=help, metavar=metavar, min=least, rich_help_panel=_PANEL)


@app.command(
    epilog="Example: pochade grid 'a red house' --x 'Steps=10,20,30' --y 'CFG Scale=3-9 (+2)' --seed 7 -o houses"
)
@with_request(*TASKS, needs_prompt=False)
def grid(
    request: Request,
    context: typer.Context,
    x: Annotated[str, _option("--x", metavar=_AXIS, help="What changes from column to column.")] = "",
    y: Annotated[str, _option("--y", metavar=_AXIS, help="What changes from row to row.")] = "",
    z: Annotated[str, _option("--z", metavar=_AXIS, help="What changes from one such grid to the next.")] = "",
    own_seeds: Annotated[bool, _option("--own-seeds", help="Leave a seed of -1 to chance in each cell.")] = False,
    vary_seeds: Annotated[
        str, _option("--vary-seeds", metavar="xyz", help="Axes along which the seed counts on, such as xy.")
    ] = "",
    legend: Annotated[bool, _option("--legend/--no-legend", help="Write what the cells are beside them.")] = True,
    margin: Annotated[int, _option("--margin", metavar="N", least=0, help="Pixels between the cells.")] = 0,
    sub_grids: Annotated[bool, _option("--sub-grids", help="Save a sheet for each value of Z too.")] = False,
    html: Annotated[bool, _option("--html/--no-html", help="Make a page for a browser too.")] = True,
    styles_file: StylesFile = None,
    models: Models = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="DIR", help="Folder of the grid; in outputs/ if not given.")
    ] = None,
    resume: Annotated[
        Path | None, _option("--resume", metavar="DIR", help="Go on with the grid in this folder, as it was wanted.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Draw a request with every choice of values of up to three axes, each cell in a file, and make sheets of them.

    An axis is one of A1111's ("CFG Scale", "Prompt S/R", "Checkpoint name", ...), "LoRA", "LoRA weight", or any other
    option of the request ("padding"). Values: 1,2,3 or 1-5 or 1-9 (+2) or 1-10 \\[4]; quotes keep a comma. In a folder
    with the same grid only what is missing is drawn. A cell that fails is left out, and the exit code tells why.
    """
    from pochade.generation.naming import new_folder  # deferred: the help needs none of it
    from pochade.generation.xyz.grid_folder import GridFolder, GridRecord, Look
    from pochade.generation.xyz.plot import Plot
    from pochade.generation.xyz.wanted import joined

    folders = models or []
    styles = known_styles(styles_file, folders)
    if resume:
        _check_alone(context)
        folder = GridFolder(resume)
        record = _recorded(folder, styles)
    else:
        _check(request, context, (x, y, z), vary_seeds)
        plot = Plot.of(request, x, y, z, styles=styles, own_seeds=own_seeds, varied=vary_seeds)
        folder = GridFolder(output or new_folder("grid"))
        record = joined(folder, GridRecord(plot, Look(legend, margin, sub_grids, html)), styles)
    _draw(folder, record, folders, as_json)


def _check(request: Request, context: typer.Context, axes: Sequence[str], varied: str) -> None:
    if not is_given("prompt", context):
        raise UsageError("What shall be drawn? Give a PROMPT, or --resume DIR to go on with a grid.")
    if not any(axes):
        raise UsageError("A grid needs an axis: give one with --x NAME=VALUES, such as --x 'Steps=10,20,30'.")
    if not set(varied) <= set("xyz"):
        raise UsageError(f"--vary-seeds is {varied!r}; it must be one or more of x, y and z, such as xy.")
    if request.image and Path(request.image).is_dir():
        raise UsageError(f"{request.image} is a folder; a grid shows what becomes of one picture: name that.")


def _check_alone(context: typer.Context) -> None:
    """Raise UsageError for an option that would count for nothing beside --resume."""
    for name in context.params:
        if name not in _WITH_RESUME and is_given(name, context):
            raise UsageError(f"--resume goes on with what was wanted before; {name.replace('_', ' ')} cannot be given.")


def _recorded(folder: "GridFolder", styles: "Styles | None") -> "GridRecord":
    record = folder.read(styles) if folder.path.is_dir() else None
    if record is None:
        raise MissingFileError(folder.path, "there is no grid to go on with; name a grid's folder.")
    return record


def _draw(folder: "GridFolder", record: "GridRecord", folders: list[Path], as_json: bool) -> None:
    """Draw what is missing and tell of each file, or of the whole grid in JSON."""
    from pochade.cli.progress import watch  # deferred with the rest
    from pochade.generation.drawer import Drawer, opened
    from pochade.generation.xyz.drawing import GridDrawing
    from pochade.generation.xyz.wanted import check_loras, locator

    check_loras(record, folders)
    drawer = Drawer(folders)
    drawing = GridDrawing(folder, record, lambda each: drawer.run(*opened(each)), locator(folders), folders)
    for path in watch(drawing.events()):
        if not as_json:
            typer.echo(path)
    if as_json:
        typer.echo(json.dumps(_summary(drawing), indent=2))
    for failure in drawing.failures.values():
        raise typer.Exit(failure.exit_code)


def _summary(drawing: "GridDrawing") -> dict[str, Any]:
    """What --json tells."""
    folder, record = drawing.folder, drawing.record
    page = {"html": os.fspath(folder.page)} if record.look.html else {}
    cells = [_cell_summary(drawing, cell) for cell in record.plot.cells]
    return {"folder": os.fspath(folder.path), "grids": list(map(os.fspath, drawing.sheets)), **page, "cells": cells}


def _cell_summary(drawing: "GridDrawing", cell: "Cell") -> dict[str, Any]:
    labels = {name: label for name, label in zip("xyz", cell.labels, strict=True) if label}
    failure = drawing.failures.get(cell.name)
    if failure:
        return labels | {"error": str(failure)}
    return labels | {"pictures": list(map(os.fspath, drawing.folder.pictures(cell)))}
