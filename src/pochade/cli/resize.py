"""`pochade resize`: another rank for a LoRA."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pochade.cli.common import Json

app = typer.Typer(add_completion=False)


class Dynamic(StrEnum):
    """Ways of choosing a rank per module."""

    sv_ratio = "sv_ratio"
    sv_cumulative = "sv_cumulative"
    sv_fro = "sv_fro"


@app.command(
    epilog="Example: pochade resize lora.safetensors --rank 32 --dynamic sv_fro --target 0.95 -o s.safetensors"
)
def resize(
    lora: Annotated[Path, typer.Argument(help="The LoRA.", metavar="LORA")],
    destination: Annotated[Path, typer.Option("-o", "--output", metavar="DST", help="The file to write.")],
    rank: Annotated[int, typer.Option("--rank", help="The new rank; with --dynamic, the highest.", min=1)],
    conv_rank: Annotated[
        int | None, typer.Option("--conv-rank", help="Rank of convolutions with a kernel; else --rank.", min=1)
    ] = None,
    dynamic: Annotated[
        Dynamic | None, typer.Option("--dynamic", help="Choose each module's rank by its singular values.")
    ] = None,
    target: Annotated[
        float | None,
        typer.Option(
            "--target", metavar="X", help="sv_ratio: largest to smallest kept; else the part of sum or length to keep."
        ),
    ] = None,
    base: Annotated[
        Path | None,
        typer.Option("--base", metavar="MODEL", help="The model, for DoRA, IA3, GLoRA, OFT and BOFT to become LoRA."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Give a LoRA another rank, keeping as much of its effect as that rank allows. LoHa and LoKr become LoRA."""
    from pochade.cli.progress import watch  # deferred: the help needs none of these
    from pochade.operations.resize import Size, resizing

    size = Size(rank=rank, conv_rank=conv_rank, dynamic=dynamic.value if dynamic else None, target=target)
    (saved,) = watch(resizing(lora, destination, size, base))
    typer.echo(json.dumps({"path": str(saved)}) if as_json else saved)
