"""`pochade redo`: draw a picture again from what it carries."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from pochade.cli.common import Json, Models
from pochade.cli.txt2img import Output, pipeline_for, summary
from pochade.errors import MalformedFileError, MissingFileError, UnknownNameError, UsageError
from pochade.generation.request import Request

app = typer.Typer(add_completion=False)


@app.command(epilog="Example: pochade redo house.png -o house-again.png")
def redo(
    image: Annotated[Path, typer.Argument(help="A picture by Pochade or A1111.", metavar="IMAGE")],
    model: Annotated[str, typer.Option(metavar="TEXT", help="Model to use instead of the recorded one.")] = "",
    vae: Annotated[str, typer.Option(metavar="TEXT", help="VAE to use instead of the recorded one.")] = "",
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda", help="Device instead of the recorded one.")] = "",
    models: Models = None,
    output: Output = None,
    as_json: Json = False,
) -> None:
    """Draw a picture again. One by Pochade comes out the same to the pixel on the same machine."""
    from pochade.cli.naming import namer  # deferred: the help needs none of these
    from pochade.cli.progress import watch

    request, index = _recorded(image)
    recorded = request.model_hash
    request = replace(
        request, model=model or request.model, vae=vae or request.vae, device=device or request.device
    ).validate()
    name = namer(output, 1, "redo")
    request = _located(request, models or [])
    for number, picture in enumerate(watch(pipeline_for(request, models or []).run(request))):
        if number != index:
            continue
        if recorded and picture.request.model_hash not in ("", recorded):
            _note(f"the picture was drawn by another model, {recorded}; this one is {picture.request.model_hash}.")
        path = picture.save(name(picture))
        typer.echo(json.dumps(summary(picture, path), indent=2) if as_json else path)


def _recorded(image: Path) -> tuple[Request, int]:
    """The request that a picture carries, or the best that A1111's text gives."""
    from pochade.generation.fields import recall  # deferred with the rest
    from pochade.generation.picture import read_metadata

    metadata = read_metadata(image)
    if metadata.request:
        return metadata.request, metadata.index
    if not metadata.infotext:
        raise MalformedFileError(image, "it carries no parameters to redo it from; draw it with txt2img instead.")
    recalled = recall(metadata.infotext)
    if recalled.ignored:
        _note(f"these parameters of the picture are not followed: {', '.join(recalled.ignored)}.")
    return recalled.request.validate(), 0


def _located(request: Request, folders: list[Path]) -> Request:
    """The request with paths for its models; a name that fails is tried by its hash."""
    return replace(
        request,
        model=_path(request.model, request.model_hash, folders, "checkpoint"),
        vae=_path(request.vae, request.vae_hash, folders, "vae"),
    )


def _path(name: str, digest: str, folders: list[Path], kind: str) -> str:
    from pochade.library import find_by_hash, find_model  # deferred with the rest

    if not name:
        return ""
    try:
        return str(find_model(name, folders, kind))
    except UnknownNameError:
        found = find_by_hash(digest, folders, kind) if digest else None
        if found is None:
            raise
        return str(found)
    except (UsageError, MissingFileError) as error:
        raise UsageError(f"The picture was drawn with {name!r}. {error}") from error


def _note(sentence: str) -> None:
    print(f"Note: {sentence}", file=sys.stderr)
