"""Options that make many requests of one: a file of prompts, a matrix of prompts, dynamic prompts."""

import inspect
import sys
from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pochade.cli.common import Models, is_given
from pochade.cli.wording import (
    Combinations,
    Dynamic,
    StyleNames,
    StylesFile,
    WildcardFolders,
    known_styles,
    with_choices,
    with_styles,
)
from pochade.errors import FileError, MalformedFileError, MissingFileError, UsageError
from pochade.generation.request import Request

if TYPE_CHECKING:
    from pochade.generation.batches import Batch

_PANEL = "Many prompts"
_NEEDS = {
    "joint": ("matrix",),
    "options_first": ("matrix",),
    "margin": ("matrix",),
    "prompts_at": ("prompts",),
    "seeds": ("prompts", "matrix", "combinations"),
    "styles_file": ("style", "prompts"),
    "wildcards": ("dynamic", "combinations"),
}
"""Options that count for nothing without one of the others."""


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
    _, *rest = inspect.signature(command).parameters.values()
    shared = {each.name for each in options} & {each.name for each in rest}

    @wraps(command)
    def run(request: Request, **values: Any) -> None:
        own = {each.name: values[each.name] for each in options}
        command(_batch(request, **own), **{each.name: values[each.name] for each in rest})

    options_alone = [each for each in options if each.name not in shared]
    run.__signature__ = inspect.Signature([first, *options_alone, *rest])  # type: ignore[attr-defined]
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
    matrix: Annotated[bool, _option("--matrix", help="Draw 'house|night|snow' with every choice of options.")] = False,
    joint: Annotated[Joint, _option("--joint", help="What stands between them.")] = Joint.comma,
    options_first: Annotated[bool, _option("--options-first", help="Put options before what is always there.")] = False,
    grid: Annotated[bool, _option("--grid/--no-grid", help="Put a matrix's pictures on one sheet too.")] = True,
    margin: Annotated[int, _option("--margin", metavar="N", least=0, help="Pixels between them on it.")] = 0,
    seeds: Annotated[
        Seeds | None, _option("--seeds", help="One seed for all prompts, or the next one for each.")
    ] = None,
    style: StyleNames = None,
    styles_file: StylesFile = None,
    dynamic: Dynamic = False,
    combinations: Combinations = None,
    wildcards: WildcardFolders = None,
    models: Models = None,
) -> "Batch":
    """The requests that the options ask for."""
    from pochade.generation.batches import Batch, Lines, matrix_batch  # deferred: the help needs none of these

    folders = models or []
    _check_used(context, prompts, matrix)
    text = _text(prompts) if prompts else ""
    known = known_styles(styles_file, folders) if style or "--styles" in text else None
    if matrix:
        batch = matrix_batch(request, joint, options_first, seeds)
        batch = replace(batch, layout=replace(batch.layout, margin=margin) if batch.layout and grid else None)
    elif prompts:
        batch = Lines(prompts_at is Place.end, seeds, known).batch(text, request)
    else:
        batch = Batch((request,))
    batch = with_styles(batch, style or [], known)
    if dynamic or combinations:
        batch = with_choices(batch, combinations, wildcards or [], folders, seeds)
    return batch


def _check_used(context: typer.Context, prompts: str, matrix: bool) -> None:
    """Raise UsageError for options that exclude each other, or would count for nothing."""
    if prompts and matrix:
        raise UsageError("--prompts and --matrix are both given; only one of them can be followed.")
    if not prompts and not is_given("prompt", context):
        raise UsageError("What shall be drawn? Give a PROMPT, or a file of them with --prompts FILE.")
    if matrix and (is_given("dynamic", context) or is_given("combinations", context)):
        raise UsageError("A matrix takes its prompt apart at each |, so its choices cannot be dynamic; leave one out.")
    for name, needed in _NEEDS.items():
        if is_given(name, context) and not any(is_given(each, context) for each in needed):
            others = " or ".join(map(_flag, needed))
            raise UsageError(f"{_flag(name)} is for {others}; give that too, or leave it out.")


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


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
