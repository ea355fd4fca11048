"""What the commands that draw share: load what a request names, draw, save, and tell."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pochade.cli.common import tell
from pochade.errors import FileError, UsageError
from pochade.events import Event, Warned
from pochade.generation.locating import located
from pochade.generation.request import Request

if TYPE_CHECKING:
    from pochade.generation.batches import Batch
    from pochade.generation.picture import Picture
    from pochade.jobs.verbs.pictures import Pictures

Output = Annotated[
    Path | None, typer.Option("-o", "--output", metavar="FILE|DIR", help="Where to save; outputs/ if not given.")
]
KeepInputs = Annotated[
    bool, typer.Option("--keep-inputs", help="Put the pictures that it began with into the file too.")
]
Queued = Annotated[
    bool, typer.Option("--queue", help="Let `pochade jobs` draw it in the background; tells the job's number.")
]


def draw(
    batch: "Batch",
    models: list[Path],
    output: Path | None,
    command: str,
    as_json: bool,
    keep_inputs: bool = False,
    queued: bool = False,
) -> None:
    """Draw and save the pictures of requests, and tell where they are.

    Where a request begins with a folder, each picture in it is drawn over and gives its name to the result. Those that
    cannot be read are told and left out, and the exit code is 3 then.
    """
    from pochade.cli.progress import watch
    from pochade.generation.naming import (  # deferred: the help needs none of these
        check_holding,
        namer,
        namer_after_inputs,
    )
    from pochade.generation.pictures.picture_folders import is_folder, pictures_of, requests_over
    from pochade.jobs.verbs.pictures import Pictures

    _tell_ignored(batch)
    if queued:
        _enqueue(Pictures(batch.requests, command, output, tuple(models), keep_inputs, batch.layout), as_json)
        return
    check_holding(output, batch.requests, keep_inputs)
    in_folder = any(map(is_folder, batch.requests))
    if in_folder and batch.layout:
        raise UsageError("A grid shows what becomes of one picture; for a folder of them, give --no-grid.")
    requests = [each for request in batch.requests for each in requests_over(located(request, models))]
    total = sum(request.count for request in requests)
    inputs = chain.from_iterable(map(pictures_of, requests))
    name = namer_after_inputs(output, command) if in_folder else namer(output, total, command, inputs)
    report = _Report(as_json)
    skipped: list[str] = []
    drawn: list[Picture] = []
    for picture in watch(_events(requests, models, skipped if in_folder else None)):
        report.saved("pictures", picture, picture.save(name(picture), keep_inputs=keep_inputs))
        drawn += [picture] if batch.layout else []
    for grid in _grids(drawn, batch):
        report.saved("grids", grid, grid.save(name(grid)))
    report.finish(skipped)


def _enqueue(wanted: "Pictures", as_json: bool) -> None:
    """Put pictures into the queue, and tell the job's number; what cannot be drawn or saved is told at once."""
    from pochade.jobs import Queue, ensure_workers  # deferred with the rest

    wanted = wanted.settled()
    wanted.namer()
    queue = Queue()
    job = queue.add("pictures", wanted.to_record(), wanted.requests[0].prompt)
    ensure_workers(queue)
    typer.echo(json.dumps({"job": job.id}) if as_json else job.id)


def summary(picture: Any, path: Path) -> dict[str, Any]:
    """What --json tells about a saved picture."""
    width, height = picture.image.size
    return {"path": os.fspath(path), "seed": picture.seed, "width": width, "height": height}


@dataclass(frozen=True)
class _Report:
    """Tells of each file at once, or of all in JSON at the end."""

    as_json: bool
    files: dict[str, list[Any]] = field(default_factory=lambda: {"pictures": []})

    def saved(self, kind: str, picture: "Picture", path: Path) -> None:
        self.files.setdefault(kind, []).append(summary(picture, path))
        if not self.as_json:
            typer.echo(path)

    def finish(self, skipped: list[str]) -> None:
        """End with the exit code of a bad file if one was left out."""
        if self.as_json:
            typer.echo(json.dumps(self.files | ({"skipped": skipped} if skipped else {}), indent=2))
        if skipped:
            raise typer.Exit(FileError.exit_code)


def _tell_ignored(batch: "Batch") -> None:
    for name in batch.ignored:
        tell(f"Note: --{name} in the file of prompts is not followed.", err=True)
    for note in batch.notes:
        tell(f"Note: {note}", err=True)


def _events(requests: list[Request], folders: list[Path], skipped: list[str] | None) -> Iterator[Event]:
    """What happens while requests are drawn in turn.

    Pictures that cannot be used stop it, unless there is a list of what is `skipped`.
    """
    from pochade.generation.drawer import Drawer, opened  # deferred with the rest

    drawer = Drawer(folders)
    for request in requests:
        try:
            request, inputs = opened(request)  # a picture that cannot be read is told before the model is loaded
        except FileError as error:
            if skipped is None:
                raise
            yield _left_out(error, skipped)
            continue
        yield from drawer.run(request, inputs)


def _left_out(error: FileError, skipped: list[str]) -> Warned:
    skipped.append(str(error))
    return Warned(f"{error} It is left out.")


def _grids(pictures: "list[Picture]", batch: "Batch") -> "Iterator[Picture]":
    """The pictures of all requests on one sheet, or on several where each request asks for several pictures."""
    from pochade.generation.picture import Picture
    from pochade.generation.pictures.grids import grid  # deferred with the rest

    if batch.layout is None:
        return
    each = batch.requests[0].count
    for number in range(each):
        shown = pictures[number::each]
        try:
            sheet = grid([picture.image for picture in shown], batch.layout)
        except UsageError as error:
            tell(f"Note: {error}", err=True)
            return
        yield Picture(sheet, infotext=shown[0].infotext)
