"""Merge recipes as people write them down: an expression, a TOML or JSON file, or what a merged file remembers."""

import json
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from pochade import files
from pochade.errors import MalformedFileError, MissingFileError, PochadeError, UnknownNameError, UsageError
from pochade.events import Saved
from pochade.files.metadata import table_in
from pochade.library import find_model
from pochade.library.find import find_by_hash
from pochade.library.hashes import sha256
from pochade.operations.expression import parse
from pochade.operations.lineage import KEY
from pochade.operations.merge import Merge, merging

Find = Callable[[str], Path]
_FIELDS = {each.name for each in fields(Merge)} - {"factors"}


def merge(
    recipe: str | Merge, target: Path | str, models: Sequence[Path | str] = (), folders: Sequence[Path] = ()
) -> Path:
    """Merge by an expression, a recipe file, or a Merge with its models; return the new file.

    Names are paths, or are looked up in `folders`. Raises FileError and UsageError as merging() does.
    """

    def find(name: str) -> Path:
        return find_model(name, folders)

    paths, merge = ([Path(each) for each in models], recipe) if isinstance(recipe, Merge) else recipe_of(recipe, find)
    return [event.path for event in merging(paths, merge, Path(target)) if isinstance(event, Saved)][-1]


def recipe_of(text: str, find: Find) -> tuple[list[Path], Merge]:
    """Return models and merge of an expression, or of a recipe file that is named; `find` turns names into paths.

    A recipe file holds an `expression`, or `models` and a `method`, with the other fields of Merge.
    """
    path = Path(text)
    if path.suffix.lower() in (".toml", ".json") and path.is_file():
        return _of_table(_read(path), str(path), find)
    factors = parse(text)
    return [find(name) for name in factors], Merge(factors=tuple(factors.values()))


def recipe_in(path: Path, find: Find, folders: Sequence[Path] = ()) -> tuple[list[Path], Merge]:
    """Return models and merge that made a file, from its own metadata.

    A model is looked for by its name, and by its hash in `folders` where the one of that name is another now. Raises
    MalformedFileError when the file tells no recipe, UsageError when a model is nowhere.
    """
    told = table_in(files.open(path).metadata, KEY)
    parents, options = told.get("parents"), told.get("options")
    if told.get("operation") != "merge" or not isinstance(parents, dict) or not isinstance(options, dict):
        raise MalformedFileError(path, "tells no merge recipe in its metadata.")
    paths = {role: _parent(parent, path, find, folders) for role, parent in parents.items()}
    base = paths.pop("base", None)
    return list(paths.values()), replace(_record(options, str(path)), base=base)


def _parent(parent: object, told_by: Path, find: Find, folders: Sequence[Path]) -> Path:
    """Return the file that was merged."""
    if not isinstance(parent, dict) or not isinstance(parent.get("name"), str):
        raise MalformedFileError(told_by, "does not name the models of its merge.")
    name, digest = parent["name"], str(parent.get("sha256", ""))
    try:
        path = find(name)
        if not digest or not path.is_file() or sha256(path) == digest:
            return path
        problem: PochadeError = UsageError(f"{path} is not the {name} that was merged; that had SHA-256 {digest}.")
    except (MissingFileError, UsageError) as error:
        problem = error
    if digest and (other := find_by_hash(digest, folders)):
        return other
    raise problem


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        table = tomllib.loads(text) if path.suffix.lower() == ".toml" else json.loads(text)
    except ValueError as error:
        raise MalformedFileError(path, f"cannot be read as a recipe: {error}") from error
    if not isinstance(table, dict):
        raise MalformedFileError(path, "holds no table of fields.")
    return table


def _of_table(table: Mapping[str, Any], where: str, find: Find) -> tuple[list[Path], Merge]:
    known = _FIELDS | {"expression", "models"}
    for name in table:
        if name not in known:
            raise UnknownNameError(f"field of a recipe ({where})", name, sorted(known))
    options = {name: value for name, value in table.items() if name in _FIELDS}
    if "expression" in table:
        factors = parse(str(table["expression"]))
        merge = replace(_record(options, where), factors=tuple(factors.values()))
        merge = replace(merge, base=find(str(merge.base))) if merge.base else merge
        return [find(name) for name in factors], merge
    if not isinstance(table.get("models"), list) or not table.get("method"):
        raise UsageError(f"{where}: a recipe needs an expression, or a list of models and a method.")
    return [find(str(name)) for name in table["models"]], _record(options, where)


def _record(options: Mapping[str, Any], where: str) -> Merge:
    """The Merge that a recipe file describes. Raises UsageError at the first value that is not of its field's kind."""
    from pydantic import TypeAdapter, ValidationError  # deferred: sums and methods on the command line need no check

    try:
        return TypeAdapter(Merge).validate_python(options)
    except ValidationError as error:
        mistake = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in mistake["loc"])
        said = mistake["msg"][:1].lower() + mistake["msg"][1:]
        raise UsageError(f"{where}: '{place}' is {mistake['input']!r:.60}: {said}.") from error
