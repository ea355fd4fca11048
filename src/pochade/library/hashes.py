"""Hashes of model files, which are remembered between runs: reading gigabytes once is enough."""

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from pochade.errors import FileError, ResourceError
from pochade.events import Event, Made, Warned
from pochade.files.saving import megabytes
from pochade.library.database import connected

_SHORT = 10
_BLOCK = 8 << 20
_MOST_NUMBER = (1 << 63) - 1  # that the database can hold

Mark = tuple[int, int, int]
"""Size, time and number of a file: what tells that it has not changed."""


def short_hash(path: Path) -> str:
    """First 10 hex digits of the SHA-256, as web UIs show it. A folder has none: the text is empty."""
    return "" if path.is_dir() else sha256(path)[:_SHORT]


def sha256(path: Path) -> str:
    """The SHA-256 of a file in hex; computed anew when its size, time or number changed."""
    found = remembered(path)
    if found is None:
        mark = mark_of(os.stat(path))
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        _remember(path, mark, found)
    return found


def remembered(path: Path) -> str | None:
    """The SHA-256 of a file in hex, where it was computed before and the file has not changed since."""
    return remembered_of([path]).get(path)


def remembered_of(paths: Iterable[Path]) -> dict[Path, str]:
    """The same of many files, for those of which it is known."""
    known: dict[Path, str] = {}
    with suppress(FileError, ResourceError), connected() as base:
        for path in paths:
            row = base.execute("SELECT sha256, size, time, number FROM files WHERE path = ?", [key(path)]).fetchone()
            with suppress(OSError):  # a file that is gone has no hash
                if row and row[0] and row[1:] == mark_of(os.stat(path)):
                    known[path] = row[0]
    return known


def remember(path: Path, digest: str) -> None:
    """Keep the SHA-256 of a file that somebody else has computed while it was written."""
    _remember(path, mark_of(os.stat(path)), digest)


def hashing(paths: Sequence[Path]) -> Iterator[Event]:
    """Compute the hash of every file that has none yet; yields Steps in megabytes, and Made with each path when done.

    It can be stopped after any event; what was finished stays remembered. Files that cannot be read are told of.
    """
    known = remembered_of(paths)
    sizes = {path: os.path.getsize(path) for path in paths if path not in known and path.is_file()}
    done, total = 0, sum(sizes.values())
    for path, size in sizes.items():
        try:
            for read in _hashed(path):
                yield megabytes(done + min(read, size), total)
            yield Made(path)
        except OSError as error:
            yield Warned(f"{path}: cannot be read: {error.strerror or error}")
        done += size


def _hashed(path: Path) -> Iterator[int]:
    """Hash a file block by block; yields how many bytes are read."""
    found, done = hashlib.sha256(), 0
    mark = mark_of(os.stat(path))
    with path.open("rb", buffering=0) as file:
        while block := file.read(_BLOCK):
            found.update(block)
            done += len(block)
            yield done
    _remember(path, mark, found.hexdigest())


def mark_of(status: os.stat_result) -> Mark:
    """What tells that a file is still the same."""
    return status.st_size, status.st_mtime_ns, status.st_ino & _MOST_NUMBER


def key(path: Path | str) -> bytes:
    """By what a file is remembered: where it really lies."""
    return os.fsencode(os.path.realpath(path))


def _remember(path: Path, mark: Mark, digest: str) -> None:
    """Keep a hash, unless the file changed meanwhile. Where nothing can be kept, that only costs time."""
    if mark_of(os.stat(path)) != mark:
        return
    with suppress(FileError, ResourceError), connected() as base:
        base.execute("DELETE FROM files WHERE path = ? AND (size, time, number) != (?, ?, ?)", [key(path), *mark])
        base.execute(
            "INSERT INTO files (path, size, time, number, sha256) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (path) DO UPDATE SET sha256 = excluded.sha256",
            [key(path), *mark, digest],
        )
