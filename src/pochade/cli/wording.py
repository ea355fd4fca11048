"""Options that change the words of prompts: styles put around them, choices taken in them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pochade.errors import UsageError

if TYPE_CHECKING:
    from pochade.generation.batches import Batch
    from pochade.prompts.styles import Style

_PANEL = "Words of the prompt"
_STYLES = "styles.csv"
_MOST_COMBINATIONS = 10_000

StyleNames = Annotated[
    list[str] | None,
    typer.Option(
        "--style", metavar="NAME", help="Style to put around the prompt; repeatable, in order.", rich_help_panel=_PANEL
    ),
]
StylesFile = Annotated[
    Path | None,
    typer.Option(
        "--styles-file",
        envvar="POCHADE_STYLES",
        metavar="FILE",
        help="A1111's file of styles; styles.csv in the folders of models if not given.",
        rich_help_panel=_PANEL,
    ),
]
Dynamic = Annotated[
    bool,
    typer.Option(
        "--dynamic",
        help="Choose in {a|b} and __wildcard__ for each picture, by its seed.",
        rich_help_panel=_PANEL,
    ),
]
Combinations = Annotated[
    int | None,
    typer.Option(
        "--combinations",
        metavar="N",
        min=1,
        max=_MOST_COMBINATIONS,
        help="Draw every choice in turn instead, at most N of them.",
        rich_help_panel=_PANEL,
    ),
]
WildcardFolders = Annotated[
    list[Path] | None,
    typer.Option(
        "--wildcards",
        metavar="DIR",
        help="Folder of wildcards, beside those in the folders of models; repeatable.",
        rich_help_panel=_PANEL,
    ),
]


def known_styles(file: Path | None, folders: Sequence[Path]) -> "dict[str, Style] | None":
    """The styles of a file, or of those in folders of models; None where there is no such file."""
    from pochade.prompts import styles  # deferred: few prompts have styles

    files = [file] if file else [path for path in (folder / _STYLES for folder in folders) if path.is_file()]
    found: dict[str, Style] = {}
    for path in files:
        found = styles.read(path) | found
    return found if files else None


def with_styles(batch: "Batch", names: Sequence[str], known: "Mapping[str, Style] | None") -> "Batch":
    """The batch with styles around its prompts, but for those that have some of their own."""
    from pochade.generation.styling import styled

    if not names:
        return batch
    if known is None:
        raise UsageError(
            f"--style names a style, but no file of styles is there; give --styles-file FILE, or put {_STYLES} into a "
            "folder of models."
        )
    requests = [each if each.applied_styles else styled(each, names, known) for each in batch.requests]
    return replace(batch, requests=tuple(requests))


def with_choices(
    batch: "Batch", most: int | None, folders: Sequence[Path], models: Sequence[Path], seeds: str | None = None
) -> "Batch":
    """The batch with choices taken in its prompts: by lot, or `most` in turn."""
    from pochade.generation.dynamic import by_lot, combinations
    from pochade.prompts.dynamic import Wildcards, folders_of_wildcards

    wildcards = Wildcards([*folders, *folders_of_wildcards(models)])
    if most is None:
        return replace(batch, requests=tuple(chain.from_iterable(by_lot(each, wildcards) for each in batch.requests)))
    found = [combinations(each, wildcards, most, seeds) for each in batch.requests]
    requests = tuple(chain.from_iterable(each for each, _ in found))
    note = f"The prompt has more combinations; the first {most} are drawn. --combinations takes up to"
    notes = (f"{note} {_MOST_COMBINATIONS:,}.",) if any(is_cut for _, is_cut in found) else ()
    return replace(batch, requests=requests, notes=batch.notes + notes)
