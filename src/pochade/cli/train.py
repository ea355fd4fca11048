"""`pochade train`: make models from data."""

import json
from pathlib import Path
from typing import Annotated

import typer

from pochade.cli.common import Json

app = typer.Typer(add_completion=False, no_args_is_help=True)


@app.callback()
def train() -> None:
    """Make models from data. Stopped or killed, a run goes on where it was with the same command."""


@app.command(epilog="Example: pochade train native --config src/pochade/picturebook/recipe.toml -o runs/picturebook")
def native(
    config: Annotated[Path, typer.Option("--config", metavar="FILE.toml", help="The recipe.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder of the run.")],
    resume: Annotated[bool, typer.Option("--resume", help="Insist that the folder holds a run to go on with.")] = False,
    as_json: Json = False,
) -> None:
    """Train a whole model from nothing by a recipe: autoencoder, then UNet with text encoder."""
    from pochade.cli.progress import watch  # deferred: the help needs none of these
    from pochade.errors import UsageError
    from pochade.training import Recipe, train_recipe

    if resume and not output.is_dir():
        raise UsageError(f"{output}: there is no run to resume; leave out --resume to begin one.")
    saved = list(watch(train_recipe(Recipe.read(config), output)))
    typer.echo(json.dumps({"model": str(saved[-1])}) if as_json else saved[-1])
