"""`pochade info`: how pictures were made."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pochade.cli.common import Json, tell
from pochade.cli.told import heading, is_text, metadata_of
from pochade.errors import FileError

if TYPE_CHECKING:
    from pochade.generation.picture import Metadata

app = typer.Typer(add_completion=False)


@app.command(epilog="Example: pochade info house.png")
def info(
    images: Annotated[
        list[Path],
        typer.Argument(help="Pictures, or texts with parameters; - reads what is piped in.", metavar="IMAGE"),
    ],
    as_json: Json = False,
) -> None:
    """Show how pictures were made: prompt, seed, model and all other parameters, if they carry them.

    Pictures by A1111, Forge, ComfyUI, InvokeAI, Fooocus, NovelAI, SwarmUI and Easy Diffusion are read too. Exit code 3
    when one cannot be read.
    """
    reports: list[dict[str, Any]] = []
    code = 0
    for number, image in enumerate(images):
        try:
            metadata = metadata_of(image)
            reports += [_report(metadata)] if as_json else []
        except FileError as error:
            tell(f"Error: {error}", err=True)
            code = error.exit_code
            continue
        if not as_json:
            _show(metadata, is_alone=len(images) == 1, is_first=number == 0)
    if as_json and reports:
        shown = reports[0] if len(images) == 1 else reports
        typer.echo(json.dumps(shown, indent=2))  # in ASCII, for text of others may steer a terminal
    raise typer.Exit(code)


def _show(metadata: "Metadata", is_alone: bool, is_first: bool) -> None:
    """The text block for people; of several pictures, each has its heading with it."""
    if not is_alone:
        tell(("" if is_first else "\n") + _heading(metadata))
    else:
        tell(_heading(metadata), err=True)
    tell(metadata.infotext or "It carries no parameters.", err=not metadata.infotext)
    for sentence in metadata.settings.left_out:
        tell(f"Note: the text does not tell {sentence}.", err=True)
    for title in metadata.settings.resources.titles:
        tell(f"At Civitai: {title}", err=True)


def _heading(metadata: "Metadata") -> str:
    if not metadata.record:
        return heading(metadata)
    whole = "made larger, its drawing can be redone" if metadata.is_upscaled else "can be redone"
    return f"{heading(metadata)}, {whole}"


def _report(metadata: "Metadata") -> dict[str, Any]:
    from pochade.generation.parameters.infotext import parse  # deferred with the rest

    request, settings = metadata.request, metadata.settings
    width, height = (None, None) if is_text(metadata) else metadata.size
    return {
        "path": str(metadata.path),
        "program": settings.program or None,
        "format": metadata.format,
        "width": width,
        "height": height,
        "infotext": metadata.infotext,
        "parameters": parse(metadata.infotext) if metadata.infotext else {},
        "request": request.to_dict() if request else None,
        "index": metadata.index,
        "left_out": list(settings.left_out),
        "lora_hashes": settings.lora_hashes,
        "embedding_hashes": settings.embedding_hashes,
        "resources": list(settings.resources.titles),
    }
