"""Records as the values that verbs work with."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from pochade.errors import UnknownNameError, UsageError

T = TypeVar("T")


def taken(record: Mapping[str, Any], verb: str, needed: Sequence[str], known: Sequence[str]) -> dict[str, Any]:
    """A record's fields. Raises UsageError where one is missing, or is none of those that are known."""
    for name in record:
        if name not in (*needed, *known):
            raise UnknownNameError(f"field of a job that does {verb}", name, [*needed, *known])
    for name in needed:
        if name not in record:
            raise UsageError(f"The record of a job that does {verb} lacks '{name}'.")
    return dict(record)


def value_of(kind: type[T], values: object, what: str) -> T:
    """A dataclass from plain values. Raises UsageError at the first one that is not of its field's kind."""
    from pydantic import TypeAdapter, ValidationError  # deferred: pictures need no check of this kind

    if not isinstance(values, Mapping):
        raise UsageError(f"'{what}' must be an object of fields.")
    known = [each.name for each in fields(kind)]  # type: ignore[arg-type]  # every kind is a dataclass
    for name in values:
        if name not in known:
            raise UnknownNameError(f"field of '{what}'", str(name), known)
    try:
        return TypeAdapter(kind).validate_python(dict(values))
    except ValidationError as error:
        mistake = error.errors(include_url=False)[0]
        place = ".".join(map(str, (what, *mistake["loc"])))
        raise UsageError(
            f"'{place}' is {mistake['input']!r:.60}: {mistake['msg'][:1].lower()}{mistake['msg'][1:]}."
        ) from error


def path_of(value: object, what: str) -> Path:
    """A path from a text."""
    if not isinstance(value, str) or not value:
        raise UsageError(f"'{what}' is {value!r:.60}; it must be a path.")
    return Path(value)


def list_of(values: object, what: str) -> list[Any]:
    """A list."""
    if not isinstance(values, list | tuple):
        raise UsageError(f"'{what}' is {values!r:.60}; it must be a list.")
    return list(values)


def paths_of(values: object, what: str) -> list[Path]:
    """Paths from a list of texts."""
    return [path_of(each, what) for each in list_of(values, what)]


def optional_path(value: object, what: str) -> Path | None:
    """A path from a text, or None."""
    return None if value is None else path_of(value, what)


def absolute(path: Path) -> str:
    """A path as results tell it."""
    return os.path.abspath(path)
