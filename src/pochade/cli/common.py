"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Models = Annotated[
    list[Path] | None,
    typer.Option(
        "--models", envvar="POCHADE_MODELS", metavar="DIR", help="Folder of models (webui, ComfyUI or own); repeatable."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
