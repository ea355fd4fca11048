"""`pochade list`: the models in the user's folders, by what they are and are called."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pochade.cli.common import Json, NamedModels, tell
from pochade.errors import shown

if TYPE_CHECKING:
    from pochade.events import Event
    from pochade.library.search import Query
    from pochade.operations.catalogue import Library

app = typer.Typer(add_completion=False)

_QUERY = 'Words, and keys: base:sdxl kind:lora trigger:fox tag:"red scarf" size:>2gb problem: unsafe: -word.'
_MANY = {"ignore_unknown_options": True}  # a query may begin with -word


@app.command(epilog="Example: pochade list base:sdxl kind:lora fox", context_settings=_MANY)
def listing(
    words: Annotated[list[str] | None, typer.Argument(metavar="[QUERY]...", help=_QUERY)] = None,
    models: NamedModels = None,
    kind: Annotated[str, typer.Option("--kind", metavar="KIND", help="Only models of a kind, as kind:KIND.")] = "",
    hashes: Annotated[bool, typer.Option("--hash", help="Show hashes; those not known are computed.")] = False,
    duplicates: Annotated[bool, typer.Option("--duplicates", help="Only models with the same weights.")] = False,
    exact: Annotated[bool, typer.Option("--exact", help="For --duplicates, compare every number.")] = False,
    adopt: Annotated[
        list[Path] | None, typer.Option("--adopt", metavar="DIR", help="From now on, look into this folder too.")
    ] = None,
    forget: Annotated[
        list[Path] | None, typer.Option("--forget", metavar="DIR", help="No longer look into this folder.")
    ] = None,
    folders: Annotated[bool, typer.Option("--folders", help="Show the adopted folders.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Tell of changes until Ctrl-C.")] = False,
    no_refresh: Annotated[bool, typer.Option("--no-refresh", help="Show what is known, without a look.")] = False,
    as_json: Json = False,
) -> None:
    """List models: names, kinds, bases, sizes, trigger words, and what is wrong with them.

    They are looked for in --models, else in the adopted folders: of A1111, Forge, ComfyUI or StabilityMatrix, the cache
    of Hugging Face, or any others. Folders are only read; what headers tell is kept in an index.
    """
    if adopt or forget or folders:
        _show_folders(adopt or [], forget or [], as_json)
        return
    from pochade.operations.catalogue import Library  # deferred: the help needs none of these

    query, library = _query(words or [], kind), Library.of(models or [])
    for folder in library.absent:
        tell(f"Note: {folder} is not there now; its models are left out.", err=True)
    if watch:
        _watch(library, query, as_json)
    if not no_refresh:
        _run(library.refreshing())
    if hashes:
        _run(library.hashing(query.among(library.entries())))
    if duplicates:
        _show_duplicates(library, query, exact, as_json)
    else:
        _show(library, query, hashes, as_json)


def _query(words: Sequence[str], kind: str) -> "Query":
    from pochade.errors import UsageError
    from pochade.library.search import Query, is_kind, query

    if wrong := next((word for word in words if word.startswith("--")), None):
        raise UsageError(f"There is no option {wrong}; `pochade list --help` shows all.")
    found = query(" ".join(words))
    return Query((*found.conditions, is_kind(kind))) if kind else found


def _run(events: "Iterable[Event]") -> list[Any]:
    from pochade.cli.progress import watch

    return list(watch(events))


def _show(library: "Library", query: "Query", hashes: bool, as_json: bool) -> None:
    from pochade.cli.model_table import table

    found = query.among(library.entries())
    if as_json:
        typer.echo(json.dumps([each.as_dict() for each in found], indent=2))
    elif found:
        tell("\n".join(table(found, hashes)))
    else:
        where = ", ".join(map(str, library.roots)) or "the adopted folders"
        tell(f"No model in {where} fits." if query.conditions else f"There is no model in {where}.")


def _show_duplicates(library: "Library", query: "Query", exact: bool, as_json: bool) -> None:
    from pochade.cli.model_table import groups

    found = _run(library.duplicating(query.among(library.entries()), exact))
    if as_json:
        typer.echo(json.dumps([[each.as_dict() for each in group] for group in found], indent=2))
    else:
        tell("\n".join(groups(found)))


def _show_folders(adopt: Sequence[Path], forget: Sequence[Path], as_json: bool) -> None:
    """Change the adopted folders as asked for, and show them."""
    from pochade.library import adopted
    from pochade.library.places import layout_of

    for folder in adopt:
        adopted.adopt(folder)
    for folder in forget:
        adopted.forget(folder)
    layouts = {str(each): layout_of(each) if each.is_dir() else None for each in adopted.adopted()}
    if as_json:
        typer.echo(json.dumps([{"path": path, "layout": layout} for path, layout in layouts.items()], indent=2))
    else:
        lines = [shown(f"{path} ({layout or 'not there now'})") for path, layout in layouts.items()]
        tell("\n".join(lines) or "No folder is adopted; `pochade list --adopt DIR` does that.")


def _watch(library: "Library", query: "Query", as_json: bool) -> None:
    """Tell of changes, one to a line, without end."""
    from pochade.cli.progress import watch

    for changes in watch(library.watching()):
        fitting = {entry.path for entry in query.among(library.entries())}
        told = [("added", path) for path in sorted(changes.added) if path in fitting]
        told += [("changed", path) for path in sorted(changes.changed) if path in fitting]
        told += [("removed", path) for path in sorted(changes.removed)]
        for what, path in told:
            if as_json:
                typer.echo(json.dumps({"change": what, "path": str(path)}))
            else:
                tell(shown(f"{what:<8} {path}"))
