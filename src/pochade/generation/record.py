"""A record: a frozen dataclass whose fields are declared with rules; checked as a whole, and told as plain values.

A field of records holds a tuple of them.
"""

from collections.abc import Hashable, Mapping
from dataclasses import fields
from functools import lru_cache
from pathlib import PurePath
from types import NoneType
from typing import Any, ClassVar, NamedTuple, Self, cast, get_args, get_type_hints

from pochade.errors import UnknownNameError, UsageError
from pochade.generation.rules import Rule, canonical, check, shown


class Record:
    """What records have in common. `title` is what messages call one."""

    title: ClassVar[str]

    def __post_init__(self) -> None:
        """Bring equal records to one form: floats are floats, choices have their one spelling."""
        for name, rule in rules_of(type(self)).items():
            value, inner = vars(self)[name], records_in(type(self), name)
            form = _as_records(value, inner) if inner else canonical(value, kind_in(type(self), name).type, rule)
            object.__setattr__(self, name, form)

    def validate(self, owner: str = "") -> Self:
        """Return the same record, or say which field cannot be as it is; `owner` tells whose it is."""
        for name, rule in rules_of(type(self)).items():
            value, inner = vars(self)[name], records_in(type(self), name)
            if inner:
                _check_records(name, value, inner, rule)
            else:
                check(name + owner, value, kind_in(type(self), name), rule)
        return self

    def to_dict(self) -> dict[str, Any]:
        """Every field, as plain values."""
        return {name: _plain(value) for name, value in vars(self).items()}

    @classmethod
    def of_dict(cls, values: Mapping[Any, Any]) -> Self:
        """What `to_dict` gave, not checked yet; missing fields take their defaults, unknown ones are refused."""
        for name in values:
            if name not in rules_of(cls):
                raise UnknownNameError(f"{cls.title} field", str(name), rules_of(cls))
        return cls(**values)


class Kind(NamedTuple):
    """The type of a field's values, and whether None is one of them. A size is a tuple, several texts are a list."""

    type: type
    optional: bool


def rules_of(record: type[Any]) -> dict[str, Rule]:
    """Every field of a record with its rule, in order."""
    return {each.name: each.metadata["rule"] for each in fields(record)}


def defaults_of(record: type[Any]) -> dict[str, Any]:
    """Every field of a record with its default."""
    return {each.name: each.default for each in fields(record)}


def kind_in(record: type[Any], name: str) -> Kind:
    """The kind of a record's field."""
    return _kinds(cast(Hashable, record))[name]


def records_in(record: type[Any], name: str) -> type[Record] | None:
    """What records a field holds; None for a field of other values."""
    return _inner_records(cast(Hashable, record))[name]


@lru_cache
def _kinds(record: Hashable) -> dict[str, Kind]:
    return {name: _kind(hint) for name, hint in get_type_hints(record).items()}


@lru_cache
def _inner_records(record: Hashable) -> dict[str, type[Record] | None]:
    return {name: _inner(hint) for name, hint in get_type_hints(record).items()}


def _kind(hint: Any) -> Kind:
    optional = NoneType in get_args(hint)
    kind = get_args(hint)[0] if optional else hint
    if get_args(kind) == (str, ...):
        return Kind(list, optional)
    return Kind(tuple if get_args(kind) else kind, optional)


def _inner(hint: Any) -> type[Record] | None:
    inner = next(iter(get_args(hint)), None)
    return inner if isinstance(inner, type) and issubclass(inner, Record) else None


def read_field(record: type[Any], name: str, text: str) -> Any:
    """A field's value from text; what cannot be one stays text, of which `validate` tells."""
    kind = kind_in(record, name).type
    if kind is bool:
        return {"true": True, "false": False}.get(text.casefold(), text)
    if kind not in (int, float):
        return text
    try:
        return kind(text)
    except ValueError:
        return text


def file_name(path: str) -> str:
    """The last part of a path of any system; a picture never carries folders."""
    return PurePath(path.replace("\\", "/")).name


def _as_records(value: Any, kind: type[Record]) -> Any:
    if not isinstance(value, list | tuple):
        return value
    return tuple(kind.of_dict(each) if isinstance(each, Mapping) else each for each in value)


def _check_records(name: str, value: Any, kind: type[Record], rule: Rule) -> None:
    if not isinstance(value, tuple) or not all(isinstance(each, kind) for each in value):
        raise UsageError(f"{name} is {shown(value)}; it must be a list of {kind.title}s.")
    if rule.most is not None and len(value) > rule.most:
        raise UsageError(f"There are {len(value)} {kind.title}s; at most {rule.most} are possible.")
    for number, each in enumerate(value, 1):
        each.validate(f" of {kind.title} {number}")


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [each.to_dict() if isinstance(each, Record) else each for each in value]
    return value
