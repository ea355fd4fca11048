"""`pochade extract`: a part of a model, or the difference of two as a LoRA."""

import json
from pathlib import Path
from typing import Annotated

import typer

from pochade.cli.common import Json
from pochade.cli.convert import Precision

app = typer.Typer(add_completion=False)


@app.command(epilog="Example: pochade extract base.safetensors tuned.safetensors --rank 32 -o lora.safetensors")
def extract(
    model: Annotated[Path, typer.Argument(help="The model, or the base of the tuned one.", metavar="MODEL|BASE")],
    target: Annotated[Path, typer.Option("-o", "--output", metavar="DST", help="The file to write.")],
    tuned: Annotated[Path | None, typer.Argument(help="A model tuned from BASE.", metavar="TUNED")] = None,
    part: Annotated[str, typer.Option("--part", metavar="PART", help="The part to take, e.g. vae.")] = "",
    rank: Annotated[int, typer.Option("--rank", help="Rank of the LoRA.", min=1)] = 32,
    conv_rank: Annotated[int, typer.Option("--conv-rank", help="Rank for convolutions too (LoCon); 0: none.")] = 0,
    dtype: Annotated[Precision, typer.Option("--dtype", help="Precision of the LoRA.")] = Precision.fp16,
    as_json: Json = False,
) -> None:
    """Take a part out of a model, or what TUNED has beyond BASE as a LoRA."""
    from pochade.cli.progress import watch  # deferred: the help needs none of these
    from pochade.errors import UsageError
    from pochade.operations.extract import extracting_lora, extracting_part

    if bool(part) == (tuned is not None):
        raise UsageError("Give one model with --part NAME, or a base and a tuned model.")
    if tuned is None:
        events = extracting_part(model, part, target)
    else:
        events = extracting_lora(model, tuned, target, rank, conv_rank, dtype.value)
    (saved,) = watch(events)
    typer.echo(json.dumps({"path": str(saved)}) if as_json else saved)
