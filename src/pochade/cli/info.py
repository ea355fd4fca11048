"""`pochade info`: how a picture was made."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from pochade.cli.common import Json, tell

app = typer.Typer(add_completion=False)


@app.command(epilog="Example: pochade info house.png")
def info(
    image: Annotated[Path, typer.Argument(help="PNG, JPEG or WEBP file.", metavar="IMAGE")], as_json: Json = False
) -> None:
    """Show how a picture was made: prompt, seed, model and all other parameters, if it carries them."""
    from pochade.generation.picture import read_metadata  # deferred: the help needs no image library

    metadata = read_metadata(image)
    if as_json:
        typer.echo(json.dumps(_report(metadata), indent=2))  # in ASCII, for text of others may steer a terminal
        return
    width, height = metadata.size
    tell(f"{image}: {metadata.format}, {width}x{height}, {_kind(metadata)}", err=True)
    tell(metadata.infotext or "It carries no parameters.", err=not metadata.infotext)


def _kind(metadata: Any) -> str:
    if not metadata.record:
        return "not drawn by Pochade"
    whole = "made larger, its drawing can be redone" if metadata.is_upscaled else "can be redone"
    return f"drawn by Pochade, {whole}"


def _report(metadata: Any) -> dict[str, Any]:
    from pochade.generation.parameters.infotext import parse  # deferred with the rest

    request = metadata.request
    return {
        "path": str(metadata.path),
        "format": metadata.format,
        "width": metadata.size[0],
        "height": metadata.size[1],
        "infotext": metadata.infotext,
        "parameters": parse(metadata.infotext) if metadata.infotext else {},
        "request": request.to_dict() if request else None,
        "index": metadata.index,
    }
