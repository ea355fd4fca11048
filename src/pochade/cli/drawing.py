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
from pochade.cli.locating import located
from pochade.errors import FileError, UsageError
from pochade.events import Event, Warned
from pochade.generation.request import Request

if TYPE_CHECKING:
    from pochade.generation.batches import Batch
    from pochade.generation.picture import Picture
    from pochade.generation.pictures.inputs import Inputs

Output = Annotated[
    Path | None, typer.Option("-o", "--output", metavar="FILE|DIR", help="Where to save; outputs/ if not given.")
]
KeepInputs = Annotated[
    bool, typer.Option("--keep-inputs", help="Put the pictures that it began with into the file too.")
]


def draw(
    batch: "Batch", models: list[Path], output: Path | None, command: str, as_json: bool, keep_inputs: bool = False
) -> None:
    """Draw and save the pictures of requests, and tell where they are.

    Where a request begins with a folder, each picture in it is drawn over and gives its name to the result. Those that
    cannot be read are told and left out, and the exit code is 3 then.
    """
    from pochade.cli.naming import check_holding, namer, namer_after_inputs  # deferred: the help needs none of these
    from pochade.cli.progress import watch
    from pochade.generation.pictures.picture_folders import is_folder, pictures_of, requests_over

    _tell_ignored(batch)
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


def pipeline_for(request: Request, folders: list[Path]) -> Any:
    """Load the model and the VAE that a request names."""
    from pochade.library import find_model, vae_for  # deferred: names are looked up before torch is loaded

    model = find_model(request.model, folders) if request.model else None
    vae = vae_for(model, request.vae, folders)
    from pochade.generation.pipeline import Pipeline  # deferred: torch begins here

    device, dtype = request.device, request.dtype
    return Pipeline.load(model, vae=vae, device=device, dtype=dtype, memory=request.memory, folders=folders)


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


def _events(requests: list[Request], folders: list[Path], skipped: list[str] | None) -> Iterator[Event]:
    """What happens while requests are drawn in turn, with one model at a time.

    Pictures that cannot be used stop it, unless there is a list of what is `skipped`.
    """
    loaded: tuple[object, ...] = ()
    pipeline: Any = None
    for request in requests:
        try:
            request, inputs = _opened(request)  # a picture that cannot be read is told before the model is loaded
        except FileError as error:
            if skipped is None:
                raise
            yield _left_out(error, skipped)
            continue
        needs = (request.model, request.vae, request.device, request.dtype, request.memory)
        if needs != loaded:
            pipeline = None  # before the next one is loaded
            loaded, pipeline = needs, pipeline_for(request, folders)
        yield from pipeline.run(request, inputs)


def _opened(request: Request) -> "tuple[Request, Inputs]":
    from pochade.generation.pictures.inputs import Inputs  # deferred with the rest
    from pochade.generation.pictures.picture_folders import check_mask, with_partners

    request = with_partners(request)
    inputs = Inputs.of(request)
    check_mask(request, inputs)
    return request, inputs


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
