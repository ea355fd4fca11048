"""Options that make many requests of one: a file of prompts, a matrix of prompts."""

import inspect
import sys
from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pochade.errors import FileError, MalformedFileError, MissingFileError, UsageError
from pochade.generation.request import Request

if TYPE_CHECKING:
    from pochade.generation.batches import Batch

_PANEL = "Many prompts"
_OF_MATRIX = ("joint", "options_first", "margin")
_OF_PROMPTS = ("prompts_at", "styles_file")


class Place(StrEnum):
    """Where a line's prompt goes."""

    start = "start"
    end = "end"


class Seeds(StrEnum):
    """The seeds of several prompts."""

    same = "same"
    next = "next"


class Joint(StrEnum):
    """What stands between the parts of a matrix's prompt."""

    comma = "comma"
    space = "space"


def with_many(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command, whose first parameter is a Batch, the options that make one of a Request."""
    first, *options = inspect.signature(_batch).parameters.values()

    @wraps(command)
    def run(request: Request, **values: Any) -> None:
        own = {each.name: values.pop(each.name) for each in options}
        command(_batch(request, **own), **values)

    _, *rest = inspect.signature(command).parameters.values()
    run.__signature__ = inspect.Signature([first, *options, *rest])  # type: ignore[attr-defined]
    return run


def _option(*names: str, help: str, metavar: str | None = None, least: int | None = None) -> Any:
    return typer.Option(*names, help=help, metavar=metavar, min=least, rich_help_panel=_PANEL)


def _batch(
    request: Request,
    context: typer.Context,
    prompts: Annotated[
        str, _option("--prompts", metavar="FILE", help="A prompt on each line, or A1111's --prompt ... --steps ...")
    ] = "",
    prompts_at: Annotated[
        Place, _option("--prompts-at", help="Where they go in PROMPT, if there is one.")
    ] = Place.start,
    styles_file: Annotated[
        Path | None, _option("--styles-file", metavar="FILE", help="A1111's styles.csv, for --styles in lines.")
    ] = None,
    matrix: Annotated[bool, _option("--matrix", help="Draw 'house|night|snow' with every choice of options.")] = False,
    joint: Annotated[Joint, _option("--joint", help="What stands between them.")] = Joint.comma,
    options_first: Annotated[bool, _option("--options-first", help="Put options before what is always there.")] = False,
    grid: Annotated[bool, _option("--grid/--no-grid", help="Put a matrix's pictures on one sheet too.")] = True,
    margin: Annotated[int, _option("--margin", metavar="N", least=0, help="Pixels between them on it.")] = 0,
    seeds: Annotated[
        Seeds | None, _option("--seeds", help="One seed for all prompts, or the next one for each.")
    ] = None,
) -> "Batch":
    """The requests that the options ask for."""
    from pochade.generation.batches import Batch, Lines, matrix_batch  # deferred: the help needs none of these
    from pochade.prompts import styles

    if prompts and matrix:
        raise UsageError("--prompts and --matrix are both given; only one of them can be followed.")
    if not prompts and not _is_given("prompt", context):
        raise UsageError("What shall be drawn? Give a PROMPT, or a file of them with --prompts FILE.")
    _check_used(context, prompts, matrix)
    if matrix:
        batch = matrix_batch(request, joint, options_first, seeds)
        return replace(batch, layout=replace(batch.layout, margin=margin) if batch.layout and grid else None)
    if not prompts:
        return Batch((request,))
    lines = Lines(prompts_at is Place.end, seeds, styles.read(styles_file) if styles_file else None)
    return lines.batch(_text(prompts), request)


def _check_used(context: typer.Context, prompts: str, matrix: bool) -> None:
    """Raise UsageError for an option that would count for nothing."""
    unused = {} if matrix else dict.fromkeys(_OF_MATRIX, "--matrix")
    unused |= {} if prompts else dict.fromkeys(_OF_PROMPTS, "--prompts")
    unused |= {} if matrix or prompts else {"seeds": "--prompts or --matrix"}
    for name, needed in unused.items():
        if _is_given(name, context):
            raise UsageError(f"--{name.replace('_', '-')} is for {needed}; give that too, or leave it out.")


def _is_given(name: str, context: typer.Context) -> bool:
    """Whether an option or argument stands in the command line, with whatever value."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _text(name: str) -> str:
    """The text of a file, or of what is piped in."""
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        return data.decode("utf-8-sig")
    except FileNotFoundError as error:
        raise MissingFileError(name, "there is no such file of prompts; check the path.") from error
    except UnicodeDecodeError as error:
        raise MalformedFileError(
            name, "a file of prompts is text in UTF-8, but this is none; save it as such."
        ) from error
    except IsADirectoryError as error:
        raise FileError(name, "this is a folder; name a file with a prompt on each line.") from error
