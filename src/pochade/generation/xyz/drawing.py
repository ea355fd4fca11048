"""Draw a grid: cells first, each in files of its own, then the sheets and the page that are made of them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from pochade.errors import FileError, PochadeError, ResourceError, StoppedError, UsageError, is_out_of_memory
from pochade.events import Event, Made, Saved, Step, Warned
from pochade.generation.picture import Picture, read_metadata
from pochade.generation.pictures.fonts import missing_letters
from pochade.generation.request import Request
from pochade.generation.xyz.agreement import Agreement
from pochade.generation.xyz.gallery import Gallery
from pochade.generation.xyz.grid_folder import GridFolder, GridRecord
from pochade.generation.xyz.plot import Cell, cheapest_order

Run = Callable[[Request], Iterator[Event]]


def _as_it_is(request: Request) -> Request:
    return request


class GridDrawing:
    """A grid on its way into its folder. What lies there already and is as wanted is not drawn again.

    `run` draws a request, `locate` puts the paths of files in place of their names; LoRAs are in `folders`. With
    `pipeline.run` one model draws all cells. Raises UsageError for a cell whose files are not found.
    """

    def __init__(
        self,
        folder: GridFolder,
        record: GridRecord,
        run: Run,
        locate: Callable[[Request], Request] = _as_it_is,
        folders: Sequence[Path] = (),
    ) -> None:
        self.folder = folder
        self.record = record
        self.failures: dict[str, PochadeError] = {}
        """Why a cell, by its name, has no pictures."""
        self._told: set[str] = set()
        self._run = run
        self._agreement = Agreement(folders)
        self._located = {cell.place: _located(cell, locate) for cell in record.plot.cells}

    def events(self) -> Iterator[Event]:
        """Draw the cells that are missing, in the cheapest order; Saved for each file.

        A cell that fails is left out. Raises what went wrong if no cell has pictures in the end.
        """
        self.folder.write(self.record)
        missing = self._missing()
        for number, cell in enumerate(cheapest_order(missing, lambda cell: self._located[cell.place]), 1):
            yield from self._draw(cell, f"cell {number} of {len(missing)}")
        if len(self.failures) == len({cell.name for cell in self.record.plot.cells}):
            raise next(iter(self.failures.values()))
        yield from self._show()

    @property
    def sheets(self) -> list[Path]:
        """Where the sheets are that were made."""
        return [self.folder.path / name for name in self.record.sheets]

    def _missing(self) -> list[Cell]:
        """The cells that must be drawn, each picture once."""
        cells = {cell.name: cell for cell in self.record.plot.cells}
        return [cell for cell in cells.values() if not self._lies_there(cell)]

    def _lies_there(self, cell: Cell) -> bool:
        wanted = self._located[cell.place]
        for index, path in enumerate(self.folder.pictures(cell)):
            drawn = _request_in(path)
            if drawn is None or not self._agreement.holds(_part(wanted, index), drawn):
                return False
        return True

    def _draw(self, cell: Cell, what: str) -> Iterator[Event]:
        pictures: list[Picture] = []
        try:
            for event in self._run(self._located[cell.place]):
                if isinstance(event, Made):
                    pictures.append(event.result)
                else:
                    yield from self._within(what, event)
        except (PochadeError, MemoryError, RuntimeError) as error:
            self.failures[cell.name] = failure = _failure(error)
            yield Warned(f"{cell.title} is left out. {failure}")
            return
        for picture, path in zip(pictures, self.folder.pictures(cell), strict=True):
            yield Saved(picture.save(path))

    def _within(self, what: str, event: Event) -> Iterator[Event]:
        """An event of one cell as one of the whole grid; a note that is true of many cells is told once."""
        if isinstance(event, Step):
            yield replace(event, what=what if event.what == "steps" else f"{what}, {event.what}")
        elif not isinstance(event, Warned):
            yield event
        elif event.message not in self._told:
            self._told.add(event.message)
            yield event

    def _show(self) -> Iterator[Event]:
        """Make the sheets and the page anew."""
        plot, look = self.record.plot, self.record.look
        letters = missing_letters("".join(label for axis in plot.axes for label in axis.labels))
        if letters and look.legend:
            yield Warned(f"No font on this machine has {letters}; the legend of the sheets shows boxes instead.")
        reasons = {name: str(error) for name, error in self.failures.items()}
        gallery = Gallery(self.folder, self.record, reasons)
        names = []
        for name, picture in gallery.sheets():
            yield Saved(picture.save(self.folder.path / name))
            names.append(name)
        if look.html:
            yield Saved(gallery.write_page())
        self.folder.remove_sheets(set(self.record.sheets) - set(names))
        self.record = replace(self.record, sheets=tuple(names), failures=reasons)
        self.folder.write(self.record)


def _located(cell: Cell, locate: Callable[[Request], Request]) -> Request:
    try:
        return locate(cell.request)
    except UsageError as error:
        raise UsageError(f"{cell.title}: {error}") from error


def _request_in(path: Path) -> Request | None:
    """What a picture says that it shows; None where there is no picture, or none that says so."""
    try:
        return read_metadata(path).request
    except FileError:
        return None


def _part(request: Request, index: int) -> Request:
    """The request for the batch that draws picture `index`; seeds that are left to chance stay so."""
    part, _ = request.batch_of(index)
    seed = part.seed if request.seed >= 0 else -1
    return replace(part, seed=seed, variation_seed=part.variation_seed if request.variation_seed >= 0 else -1)


def _failure(error: PochadeError | MemoryError | RuntimeError) -> PochadeError:
    """What a person gets to know of a cell that failed; what concerns all cells, or is a mistake in Pochade, rises."""
    if isinstance(error, PochadeError) and not isinstance(error, StoppedError):
        return error
    if is_out_of_memory(error):
        return ResourceError("Memory ran out.")
    raise error
