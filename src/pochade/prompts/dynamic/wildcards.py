"""Wildcards: lists of values that prompts call by name, in files as collections of them are handed around.

`colours/warm.txt` is called `__colours/warm__`, a value on each line. In YAML and JSON files every list is called by
the keys that lead to it. `2::red` is taken twice as often as others.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Any

from pochade.errors import MalformedFileError, UnknownNameError, UsageError
from pochade.files.walking import walked
from pochade.prompts import comments
from pochade.prompts.dynamic.grammar import NUMBER, Template, read

PLACES = ("wildcards", "extensions/*/wildcards", "custom_nodes/*/wildcards")
"""Where a webui's extensions, ComfyUI's or people themselves put them in a folder of models."""

_WEIGHT = re.compile(rf"({NUMBER})\s*::\s*")
_PATTERN = re.compile(r"[*?\[]")
_TABLES = {".yaml", ".yml", ".json"}
_MOST = 200_000  # values and keys in one file
_DEEPEST = 50  # keys that lead to a list
_FEW = 20  # names that a message may list


@dataclass(frozen=True)
class Value:
    """One value of a wildcard, itself perhaps a template; `place` tells people where it stands."""

    wildcard: str
    text: str
    weight: float
    place: str

    @classmethod
    def of(cls, wildcard: str, written: str, place: str) -> "Value":
        """A value as it is written, with its weight if it has one."""
        found = _WEIGHT.match(written)
        return cls(wildcard, written[found.end() :] if found else written, float(found[1]) if found else 1.0, place)

    def template(self) -> Template:
        """The value read. Raises UsageError, which tells the place, where it cannot be."""
        try:
            return read(self.text)
        except UsageError as error:
            raise UsageError(f"{self.place}: {error}") from error


class Wildcards:
    """The wildcards in some folders; where two folders have one name, the first counts."""

    def __init__(self, folders: Iterable[Path] = ()) -> None:
        self.folders = tuple(folders)
        for folder in self.folders:
            if not folder.is_dir():
                raise UsageError(f"{folder}: there is no such folder of wildcards; check --wildcards.")

    def values(self, name: str) -> Sequence[Value]:
        """Every value of a wildcard, or of all whose names fit a pattern such as `colours*`, in a fixed order.

        Raises UsageError where there is none.
        """
        wanted = name.casefold()
        if _PATTERN.search(name):
            lists = [self._lists[each] for each in sorted(self._lists) if fnmatchcase(each, wanted)]
        else:
            lists = [self._lists[wanted]] if wanted in self._lists else []
        if not lists:
            raise self._absent(name)
        found = [value for each in lists for value in each.values if value.weight]
        if not found:
            raise UsageError(f"The wildcard __{name}__ has no values; write some into {lists[0].path}.")
        return found

    @cached_property
    def _lists(self) -> dict[str, "_List"]:
        """Every list by its name in small letters."""
        found: dict[str, _List] = {}
        for folder in self.folders:
            for each in _lists_below(folder):
                found.setdefault(each.name.casefold(), each)
        return found

    def _absent(self, name: str) -> UsageError:
        if not self.folders:
            return UsageError(
                f"__{name}__ names a wildcard, but there is no folder of them; give --wildcards DIR, or put a folder "
                "wildcards into one of --models."
            )
        where = ", ".join(map(str, self.folders))
        names = [each.name for each in self._lists.values()]
        error = UnknownNameError(f"wildcard in {where}", name, names)
        if error.nearest or 0 < len(names) <= _FEW:
            return error
        others = f"there are {len(names):,} others" if names else "there are none at all: put text files into it"
        return UsageError(f"There is no wildcard in {where} named {name!r}; {others}.")


def folders_of_wildcards(folders: Iterable[Path]) -> list[Path]:
    """The folders of wildcards in folders of models."""
    return [found for folder in folders for place in PLACES for found in sorted(folder.glob(place)) if found.is_dir()]


@dataclass(frozen=True)
class _List:
    """A list in a file: all lines of a text, or one list of a table."""

    name: str
    path: Path
    written: Sequence[str] | None = None

    @cached_property
    def values(self) -> list[Value]:
        """The values in the file's order."""
        if self.written is None:
            lines = enumerate(_text(self.path).splitlines(), 1)
            told = [(f"{self.path}, line {number}", line) for number, line in lines]
        else:
            told = [(f"{self.path}, {self.name}", each) for each in self.written]
        plain = [(place, comments.strip(each).strip()) for place, each in told]
        return [Value.of(self.name, each, place) for place, each in plain if each]


def _lists_below(root: Path) -> Iterator[_List]:
    for folder, _, names in walked(root):
        for path in (folder / name for name in names):
            inner = path.relative_to(root)
            if path.suffix.lower() == ".txt":
                yield _List(inner.with_suffix("").as_posix(), path)
            elif path.suffix.lower() in _TABLES:
                yield from _lists_in(path, inner.parent.parts)


def _lists_in(path: Path, folders: Sequence[str]) -> Iterator[_List]:
    """The lists of a table. Its file's name does not count, unless it is all one list; those of folders do."""
    table = _table(path)
    top = tuple(folders) if isinstance(table, Mapping) else (*folders, path.stem)
    waiting: list[tuple[tuple[str, ...], Any]] = [(top, table)]
    seen = 0
    while waiting:
        keys, value = waiting.pop()
        inner = value if isinstance(value, list) else [value]
        seen += len(inner)
        if seen > _MOST or len(keys) > _DEEPEST:
            raise MalformedFileError(
                path, f"this holds more than {_MOST:,} values or {_DEEPEST} levels; make it smaller."
            )
        if isinstance(value, Mapping):
            waiting += [((*keys, str(key)), each) for key, each in reversed(list(value.items()))]
        elif written := [str(each) for each in inner if isinstance(each, str | int | float)]:
            yield _List("/".join(keys), path, written)


def _table(path: Path) -> Any:
    import yaml  # type: ignore[import-untyped]  # deferred: most collections are texts

    text = _text(path)
    try:
        if path.suffix.lower() == ".json":
            return json.loads(text)
        return yaml.load(text, Loader=getattr(yaml, "CBaseLoader", yaml.BaseLoader))  # which makes only texts
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        line = str(error).splitlines()[0]
        raise MalformedFileError(
            path, f"this file of wildcards cannot be read: {line}; correct it, or take it out."
        ) from error


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise MalformedFileError(
            path, "a file of wildcards is text in UTF-8, but this is none; save it as such."
        ) from error
