"""`pochade convert`: another container, precision or set of parts for a model file."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pochade.cli.common import Json

app = typer.Typer(add_completion=False)


class Format(StrEnum):
    """Containers that can be written."""

    safetensors = "safetensors"
    ckpt = "ckpt"
    diffusers = "diffusers"


class Precision(StrEnum):
    """Float formats that can be written."""

    fp32 = "fp32"
    fp16 = "fp16"
    bf16 = "bf16"


class Averages(StrEnum):
    """What becomes of moving averages."""

    keep = "keep"
    drop = "drop"
    use = "use"


class Naming(StrEnum):
    """Names of a LoRA's tensors."""

    kohya = "kohya"
    diffusers = "diffusers"
    peft = "peft"


@app.command(epilog="Example: pochade convert model.ckpt model.safetensors --dtype fp16 --ema drop")
def convert(
    source: Annotated[Path, typer.Argument(help="The file or diffusers folder to convert.", metavar="SRC")],
    target: Annotated[Path, typer.Argument(help="The file or new folder to write.", metavar="DST")],
    format: Annotated[
        Format | None,
        typer.Option("--format", help="Else told by DST's name; without an ending it is a diffusers folder."),
    ] = None,
    dtype: Annotated[Precision | None, typer.Option("--dtype", help="Precision of all floats.")] = None,
    ema: Annotated[
        Averages, typer.Option("--ema", help="Moving averages: use puts them in the UNet's place.")
    ] = Averages.keep,
    only: Annotated[str, typer.Option("--only", metavar="PARTS", help="Keep these parts, e.g. unet,vae.")] = "",
    drop: Annotated[str, typer.Option("--drop", metavar="PARTS", help="Leave these parts out.")] = "",
    keep_junk: Annotated[bool, typer.Option("--keep-junk", help="Keep what no picture needs.")] = False,
    vae: Annotated[Path | None, typer.Option("--vae", metavar="FILE", help="Put this file's VAE in.")] = None,
    repair: Annotated[bool, typer.Option("--repair", help="Mend position numbers and names.")] = False,
    naming: Annotated[Naming | None, typer.Option("--naming", help="Names of a LoRA's tensors.")] = None,
    as_json: Json = False,
) -> None:
    """Convert a model file: container, precision, moving averages, parts, repairs. SRC stays as it is."""
    from pochade.cli.progress import watch  # deferred: the help needs none of these
    from pochade.operations.convert import Conversion, converting

    conversion = Conversion(
        format=format.value if format else None,
        dtype=dtype.value if dtype else None,
        ema=ema.value,
        only=_parts(only),
        drop=_parts(drop),
        keep_junk=keep_junk,
        vae=vae,
        repair=repair,
        naming=naming.value if naming else None,
    )
    (saved,) = watch(converting(source, target, conversion))
    typer.echo(json.dumps({"path": str(saved)}) if as_json else saved)


def _parts(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
