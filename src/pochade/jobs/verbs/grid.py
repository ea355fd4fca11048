"""Jobs that draw a grid. What lies in its folder already is not drawn again."""

from collections.abc import Generator, Iterator, Mapping
from itertools import count
from typing import Any

from pochade.errors import UsageError
from pochade.events import Event
from pochade.generation.request import Request
from pochade.jobs.context import Context
from pochade.jobs.job import SkippedError
from pochade.jobs.verbs.reading import absolute, optional_path, paths_of, taken


def draw(record: Mapping[str, Any], context: Context) -> Generator[Event, None, None]:
    """The `grid` as its folder records it, `output` its folder, folders of `models`, `styles_file`.

    Each cell is a part.
    """
    from pochade.generation.drawer import opened  # deferred: only this verb needs it
    from pochade.generation.naming import new_folder
    from pochade.generation.xyz.drawing import GridDrawing
    from pochade.generation.xyz.grid_folder import GridFolder, GridRecord
    from pochade.generation.xyz.wanted import check_loras, joined, locator
    from pochade.prompts import styles

    given = taken(record, "grid", ("grid",), ("output", "models", "styles_file"))
    if not isinstance(given["grid"], Mapping):
        raise UsageError("'grid' must be an object, as it is in the grid.json of a grid's folder.")
    output = optional_path(given.get("output"), "output") or new_folder("grid")
    context.settle(given | {"output": absolute(output)})
    models, file = paths_of(given.get("models", []), "models"), optional_path(given.get("styles_file"), "styles_file")
    known = styles.read(file) if file else None
    folder = GridFolder(output)
    try:
        wanted = joined(folder, GridRecord.of_dict(given["grid"], known), known)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"'grid' cannot be read: {type(error).__name__}: {error}.") from error
    check_loras(wanted, models)
    cells = {cell.name: all(path.exists() for path in folder.pictures(cell)) for cell in wanted.plot.cells}
    context.parts(len(cells), sum(cells.values()))
    drawer, begun = context.bench.drawer(models), count()

    def run(request: Request) -> Iterator[Event]:
        if next(begun):
            context.next_part()
        opened_request, inputs = opened(request)
        pipeline = drawer.pipeline(opened_request)
        context.show_with(pipeline.model.preview)
        yield from pipeline.run(opened_request, inputs)

    drawing = GridDrawing(folder, wanted, run, locator(models), models)
    yield from drawing.events()
    for path in drawing.sheets:
        context.keep({"path": absolute(path), "is_sheet": True})
    for failure in drawing.failures.values():
        if not isinstance(failure, SkippedError):
            raise failure
