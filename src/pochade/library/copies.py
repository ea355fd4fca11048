"""Files of a library that hold the same bytes as another one."""

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator
from pathlib import Path

from pochade.library.hashes import sha256

_SAMPLES, _SAMPLE = 16, 4096


def copies(paths: Iterable[Path]) -> dict[Path, Path]:
    """Return for every file that is a copy the first one with the same content; links are no copies.

    Only files of equal size, with equal samples, are read whole. Files that cannot be read are passed over.
    """
    unique: dict[Hashable, Path] = {}
    for identity, path in _keyed(paths, _identity):
        unique.setdefault(identity, path)
    groups = [list(unique.values())]
    for key in (_size, _samples, sha256):
        groups = [part for group in groups for part in _alike(group, key)]
    return {path: group[0] for group in groups for path in group[1:]}


def _alike(paths: list[Path], key: Callable[[Path], Hashable]) -> list[list[Path]]:
    """Return the files that have their key in common, two or more together."""
    parts: dict[Hashable, list[Path]] = defaultdict(list)
    for found, path in _keyed(paths, key):
        parts[found].append(path)
    return [part for part in parts.values() if len(part) > 1]


def _keyed(paths: Iterable[Path], key: Callable[[Path], Hashable]) -> Iterator[tuple[Hashable, Path]]:
    for path in paths:
        try:
            found = key(path)
        except OSError:
            continue  # it went while others were read; whoever opens it next tells of it
        yield found, path


def _identity(path: Path) -> Hashable:
    status = os.stat(path)
    return status.st_dev, status.st_ino


def _size(path: Path) -> int:
    return path.stat().st_size


def _samples(path: Path) -> bytes:
    """Return the hash of pieces from all over the file: files of one size mostly differ somewhere in them."""
    found, size = hashlib.sha256(), _size(path)
    with path.open("rb") as file:
        for number in range(_SAMPLES):
            file.seek(size * number // _SAMPLES)
            found.update(file.read(_SAMPLE))
    return found.digest()
