"""`pochade txt2img`: draw pictures from a sentence."""

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from pochade.cli.common import Json, Models
from pochade.cli.options import with_request
from pochade.generation.request import Request

app = typer.Typer(add_completion=False)

Output = Annotated[
    Path | None, typer.Option("-o", "--output", metavar="FILE|DIR", help="Where to save; outputs/ if not given.")
]


@app.command(epilog='Example: pochade txt2img "a red house under a yellow sun, night sky" --seed 8 -o house.png')
@with_request
def txt2img(request: Request, models: Models = None, output: Output = None, as_json: Json = False) -> None:
    """Draw pictures from a sentence and save them with all that is needed to redo them."""
    from pochade.cli.naming import namer  # deferred: the help needs none of these
    from pochade.cli.progress import watch

    name = namer(output, request.count, "txt2img")
    saved = []
    for picture in watch(pipeline_for(request, models or []).run(request)):
        path = picture.save(name(picture))
        saved.append(summary(picture, path))
        if not as_json:
            typer.echo(path)
    if as_json:
        typer.echo(json.dumps({"pictures": saved}, indent=2))


def pipeline_for(request: Request, folders: list[Path]) -> Any:
    """Load the model and the VAE that a request names."""
    from pochade.library import find_model  # deferred: names are looked up before torch is loaded

    model = find_model(request.model, folders) if request.model else None
    vae = find_model(request.vae, folders, "vae") if request.vae else None
    from pochade.generation.pipeline import Pipeline  # deferred: torch begins here

    return Pipeline.load(model, vae=vae, device=request.device, dtype=request.dtype)


def summary(picture: Any, path: Path) -> dict[str, Any]:
    """What --json tells about a saved picture."""
    width, height = picture.image.size
    return {"path": os.fspath(path), "seed": picture.seed, "width": width, "height": height}
