"""`pochade upscale`: make pictures larger."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from pochade.cli.common import Json, Models, tell
from pochade.errors import FileError, UsageError
from pochade.generation.locating import upscaler_path
from pochade.generation.pictures.sizes import parse_size

app = typer.Typer(add_completion=False)

_BAD_FILE = FileError.exit_code


@app.command(epilog="Example: pochade upscale house.png --scale 4 --upscaler RealESRGAN_x4plus.pth -o large.png")
def upscale(
    images: Annotated[list[Path], typer.Argument(help="Pictures of any common format.", metavar="IMAGE")],
    scale: Annotated[float | None, typer.Option(metavar="X", help="How many times larger; 2 if not given.")] = None,
    size: Annotated[str, typer.Option(metavar="WxH", help="Size to cover instead; 0 for a side keeps the ratio.")] = "",
    crop: Annotated[bool, typer.Option("--crop", help="Cut off what is outside of --size.")] = False,
    upscaler: Annotated[
        str, typer.Option(metavar="NAME|FILE", help="None, Lanczos, Nearest or an upscaler's model.")
    ] = "Lanczos",
    upscaler2: Annotated[str, typer.Option(metavar="NAME|FILE", help="A second one, blended over the first.")] = "None",
    visibility: Annotated[float, typer.Option(metavar="X", help="How much of the second one is seen, 0 to 1.")] = 0.5,
    tile: Annotated[
        int, typer.Option(metavar="N", help="Side of the tiles that models work on; 0 takes the whole picture.")
    ] = 192,
    overlap: Annotated[int, typer.Option(metavar="N", help="Pixels that neighbouring tiles share.")] = 8,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda", help="Where to compute.")] = "auto",
    dtype: Annotated[str, typer.Option(metavar="auto|fp32|bf16|fp16", help="Numbers to compute with.")] = "auto",
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE|DIR", help="Where to save; outputs/ if not given.")
    ] = None,
    models: Models = None,
    as_json: Json = False,
) -> None:
    """Make pictures larger; they keep the text of how they were made.

    Exit code 3 when one cannot be read; the others are done nevertheless.
    """
    from pochade.generation.upscaling import Upscaling  # deferred: the help needs none of it

    if crop and not size:
        raise UsageError("--crop cuts off what is outside of --size, but no size is given; give --size WxH too.")
    options = Upscaling(
        scale=2.0 if scale is None else scale,
        size=_size(size, scale),
        crop=crop,
        upscaler=upscaler_path(upscaler, models or []),
        upscaler2=upscaler_path(upscaler2, models or []),
        visibility=visibility,
        tile=tile,
        overlap=overlap,
        device=device,
        dtype=dtype,
    ).validate()
    reports = []
    for report in _upscaled(images, options, output):
        reports.append(report)
        if not as_json and "path" in report:
            typer.echo(report["path"])
    if as_json:
        typer.echo(json.dumps({"pictures": reports}, indent=2, ensure_ascii=False))
    raise typer.Exit(_BAD_FILE if any("error" in report for report in reports) else 0)


def _upscaled(images: list[Path], options: Any, output: Path | None) -> Iterator[dict[str, Any]]:
    """What became of each picture."""
    from pochade.cli.progress import watch  # deferred with the rest
    from pochade.generation.naming import namer_of_larger
    from pochade.generation.picture import format_of
    from pochade.generation.upscaling import Upscalers, upscaling

    name = namer_of_larger(output, images)
    upscalers = Upscalers.load(options)
    for source in images:
        target = name(source)
        try:
            for picture in watch(upscaling(source, options, upscalers, format_of(target))):
                picture.save(target)
                width, height = picture.image.size
                yield {"source": str(source), "path": str(target), "width": width, "height": height}
        except FileError as error:
            tell(f"Error: {error}", err=True)
            yield {"source": str(source), "error": str(error)}


def _size(text: str, scale: float | None) -> tuple[int, int] | None:
    if text and scale is not None:
        raise UsageError("--scale and --size are both given; only one of them can be followed.")
    return parse_size(text) if text else None
