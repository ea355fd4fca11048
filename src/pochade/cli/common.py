"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from pochade.errors import shown

Models = Annotated[
    list[Path] | None,
    typer.Option(
        "--models", envvar="POCHADE_MODELS", metavar="DIR", help="Folder of models (webui, ComfyUI or own); repeatable."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def tell(text: str, err: bool = False) -> None:
    """Print lines for people; what in them is not fit for a terminal is escaped."""
    typer.echo("\n".join(map(shown, text.split("\n"))), err=err)
