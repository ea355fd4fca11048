"""`pochade preprocess`: see the hint that a ControlNet gets to see."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from pochade.cli.common import Json, Models
from pochade.errors import UsageError
from pochade.generation.controlnet.control_unit import CROP, RESIZE_MODES, ControlUnit
from pochade.generation.locating import annotator_path
from pochade.generation.pictures.sizes import parse_size

app = typer.Typer(add_completion=False)

_LARGEST = 8192  # side of a picture


@app.command(epilog="Example: pochade preprocess canny house.png --threshold-a 50 -o edges.png")
def preprocess(
    name: Annotated[str, typer.Argument(help="Preprocessor, by the web UI's name, such as canny.", metavar="NAME")],
    image: Annotated[Path, typer.Argument(help="A picture of any common format.", metavar="IMAGE")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="Where to save the hint.")],
    threshold_a: Annotated[float | None, typer.Option(metavar="X", help="First setting of the preprocessor.")] = None,
    threshold_b: Annotated[float | None, typer.Option(metavar="X", help="Second setting of the preprocessor.")] = None,
    resolution: Annotated[
        int, typer.Option(metavar="N", help="Shorter side to work at; 0 takes that of the drawn picture.")
    ] = 512,
    size: Annotated[str, typer.Option(metavar="WxH", help="Bring the hint to the size of the drawn picture.")] = "",
    resize_mode: Annotated[
        str, typer.Option(metavar="TEXT", help=f"How to bring it there. One of {', '.join(RESIZE_MODES)}.")
    ] = CROP,
    mask: Annotated[Path | None, typer.Option(metavar="FILE", help="Mask, for those that fill what is white.")] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="For those that leave something to chance.")] = 0,
    weights: Annotated[
        str, typer.Option(metavar="NAME|FILE", help="File with the preprocessor's network; looked for if not given.")
    ] = "",
    models: Models = None,
    as_json: Json = False,
) -> None:
    """Save what a preprocessor makes of a picture, without drawing. Holes that inpainting would fill are black."""
    from pochade.generation.controlnet.detecting import detected  # deferred: the help needs none of it

    unit = ControlUnit(
        model="none",
        mask=str(mask or ""),
        preprocessor=name,
        annotator=weights,
        threshold_a=threshold_a,
        threshold_b=threshold_b,
        resolution=resolution,
        resize_mode=resize_mode,
    ).validate()
    _check_output(output, image, mask)
    unit = replace(unit, annotator=annotator_path(unit, models or []))
    hint = detected(unit, image, mask, _parsed_size(size), seed)
    hint.save(output)
    width, height = hint.image.size
    typer.echo(json.dumps({"path": str(output), "width": width, "height": height}) if as_json else output)


def _parsed_size(size: str) -> tuple[int, int] | None:
    """Width and height, if they are given and a picture can have them."""
    if not size:
        return None
    width, height = parse_size(size)
    if not 1 <= min(width, height) <= max(width, height) <= _LARGEST:
        raise UsageError(f"The size is {size}; both sides must be from 1 to {_LARGEST} pixels.")
    return width, height


def _check_output(output: Path, *inputs: Path | None) -> None:
    """Raise UsageError for a file that can hold no picture, or is one of the inputs."""
    from pochade.generation.naming import check_apart  # deferred: the help needs none of these
    from pochade.generation.picture import format_of

    format_of(output)
    check_apart(output, filter(None, inputs))
