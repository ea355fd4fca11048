"""Models with the same weights, whatever they lie in: a pickle and its safetensors, a checkpoint and its folder."""

import hashlib
import os
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import zip_longest
from pathlib import Path

import numpy as np

from pochade.errors import FileError
from pochade.events import Event, Made, Step
from pochade.files import Weights
from pochade.kinds import open_model
from pochade.kinds.checkpoint import junk
from pochade.library import index
from pochade.library.entries import Entry

_TENSORS, _NUMBERS = 32, 256  # that are looked at of a file


def duplicating(entries: Sequence[Entry], exact: bool = False) -> Iterator[Event]:
    """Look for models with the same weights; yields Steps, and Made with the Entries that belong together.

    Only models with tensors of the same names and sizes are opened, and some numbers of each compared; `exact` compares
    all of them. Names that lead to one file are no duplicates; files that cannot be read are passed over.
    """
    groups = _alike(_distinct(entries), {each.path: _size(each) for each in entries})
    samples = dict(index.samples(entries))
    done, total = 0, sum(map(len, groups))
    for group in groups:
        for entry in group:
            if entry.path not in samples:
                with suppress(FileError):
                    samples[entry.path] = sample(entry.path)
                    index.keep_sample(entry, samples[entry.path])
            done += 1
            yield Step(done, total, "files")
        for part in _alike([each for each in group if each.path in samples], samples):
            yield from map(Made, _equal(part) if exact else [part])


def sample(path: Path) -> str:
    """A hash of the names and sizes of a model's tensors, and of some numbers; nothing that can go counts."""
    weights = open_model(path)
    names = _needed(weights)
    found = hashlib.sha256()
    for name in names:
        found.update(f"{name} {weights.info(name)}".encode(errors="replace"))
    for name in names[:: max(1, len(names) // _TENSORS)]:
        middle = max(0, weights.info(name).size - _NUMBERS) // 2
        found.update(weights[name].reshape(-1)[middle : middle + _NUMBERS].tobytes())
    return found.hexdigest()


def same_weights(path: Path, other: Path) -> bool:
    """Tell whether two models have the same numbers in tensors of the same names; all of them are read."""
    one, two = open_model(path), open_model(other)
    names = _needed(one)
    if names != _needed(two) or any(one.info(name) != two.info(name) for name in names):
        return False
    return all(_same_tensor(one, two, name) for name in names)


def _same_tensor(one: Weights, two: Weights, name: str) -> bool:
    pairs = zip_longest(one.lazy(name).blocks(), two.lazy(name).blocks())
    return all(np.array_equal(a.view(np.uint8), b.view(np.uint8)) for a, b in pairs)


def _needed(weights: Weights) -> list[str]:
    return sorted(set(weights) - set(junk(weights)))


def _equal(group: Sequence[Entry]) -> list[list[Entry]]:
    """Those of a group that are the same number by number, two or more together."""
    parts: list[list[Entry]] = []
    for entry in group:
        part = next((each for each in parts if same_weights(each[0].path, entry.path)), None)
        if part is None:
            parts.append([entry])
        else:
            part.append(entry)
    return [part for part in parts if len(part) > 1]


def _size(entry: Entry) -> Hashable:
    """What the header tells of the weights."""
    facts = entry.facts
    return facts.kind, facts.tensors, facts.parameters, frozenset(facts.dtypes)


def _distinct(entries: Iterable[Entry]) -> list[Entry]:
    """One entry of every file that holds tensors, where several names or hard links lead to it."""
    found: dict[Hashable, Entry] = {}
    for entry in entries:
        with suppress(OSError):
            status = os.stat(entry.file)
            if entry.facts.tensors:
                found.setdefault((status.st_dev, status.st_ino), entry)
    return list(found.values())


def _alike(entries: Iterable[Entry], keys: Mapping[Path, Hashable]) -> list[list[Entry]]:
    """The entries that have their key in common, two or more together."""
    parts: dict[Hashable, list[Entry]] = defaultdict(list)
    for entry in entries:
        parts[keys[entry.path]].append(entry)
    return [part for part in parts.values() if len(part) > 1]
