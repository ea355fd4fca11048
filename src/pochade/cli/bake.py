"""`pochade bake`: put LoRAs or a VAE into a model for good."""

import json
from pathlib import Path
from typing import Annotated

import typer

from pochade.cli.common import Json

app = typer.Typer(add_completion=False)


@app.command(epilog="Example: pochade bake model.safetensors --lora style.safetensors:0.7 -o styled.safetensors")
def bake(
    model: Annotated[Path, typer.Argument(help="The model to bake into.", metavar="MODEL")],
    target: Annotated[Path, typer.Option("-o", "--output", metavar="DST", help="The file to write.")],
    lora: Annotated[
        list[str] | None,
        typer.Option("--lora", metavar="FILE:W[:TEW]", help="A LoRA, its weight, its text part's weight; repeatable."),
    ] = None,
    vae: Annotated[Path | None, typer.Option("--vae", metavar="FILE", help="Put this file's VAE in.")] = None,
    as_json: Json = False,
) -> None:
    """Bake LoRAs and a VAE into a model: the new file draws as the model does with them put on."""
    from pochade.cli.progress import watch  # deferred: the help needs none of these
    from pochade.operations.bake import Adapter, baking

    (saved,) = watch(baking(model, target, [Adapter.read(each) for each in lora or ()], vae))
    typer.echo(json.dumps({"path": str(saved)}) if as_json else saved)
