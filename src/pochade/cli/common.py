"""Options that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from pochade.errors import shown


def _present(folders: list[Path] | None) -> list[Path]:
    """The folders that are named, or where none is, the adopted ones that are there."""
    from pochade.library.adopted import adopted  # deferred: the help needs none of it

    return folders or [each for each in adopted() if each.is_dir()]


def _folders(callback: Callable[[list[Path] | None], list[Path]] | None = None) -> Any:
    told = "Folder of models (webui, ComfyUI, StabilityMatrix, Hugging Face cache or own), else the adopted ones"
    return typer.Option(
        "--models", envvar="POCHADE_MODELS", metavar="DIR", help=f"{told}; repeatable.", callback=callback
    )


Models = Annotated[list[Path] | None, _folders(_present)]
NamedModels = Annotated[list[Path] | None, _folders()]
"""Without the adopted ones."""
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def is_given(name: str, context: typer.Context) -> bool:
    """Whether an option or argument stands in the command line, with whatever value."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def tell(text: str, err: bool = False) -> None:
    """Print lines for people; what in them is not fit for a terminal is escaped."""
    typer.echo("\n".join(map(shown, text.split("\n"))), err=err)
