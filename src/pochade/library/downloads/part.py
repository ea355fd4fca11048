"""A file on its way: what has come of it is kept beside its future name, so that the next try goes on from there.

Beside NAME.part lies NAME.part.json with what tells whether the server still has the same file: its ETag or date, and
its size.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import Any

from pochade.errors import FileError, ResourceError
from pochade.files.locking import lock
from pochade.files.saving import replacing

_BLOCK = 1 << 20


class Part:
    """The bytes that have come, their SHA-256, and what the server said of the whole."""

    def __init__(self, path: Path, file: FileIO) -> None:
        self.path = path
        self._file = file
        self._said = _said(path)
        self._digest = hashlib.sha256()
        self.size = 0
        while block := file.read(_BLOCK):
            self._digest.update(block)
            self.size += len(block)
        self.is_resumed = self.size > 0
        """Whether what has come was put together from more than one answer."""

    @property
    def validator(self) -> str:
        """What the server called this version of the file; empty if it has no word for it."""
        return str(self._said.get("validator") or "")

    @property
    def total(self) -> int | None:
        """The size of the whole, if the server has said it."""
        total = self._said.get("total")
        return total if isinstance(total, int) else None

    @property
    def is_complete(self) -> bool:
        """Whether nothing is missing."""
        return self.total is not None and self.size == self.total

    @property
    def sha256(self) -> str:
        """The SHA-256 of the bytes so far."""
        return self._digest.hexdigest()

    def append(self, block: bytes) -> None:
        """Put more bytes behind what is there. Raises ResourceError when the disk is full; what fitted is kept."""
        rest = memoryview(block)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            raise _no_room(self.path, error) from error
        self._digest.update(block)
        self.size += len(block)

    def restart(self) -> None:
        """Forget everything."""
        self._file.seek(0)
        self._file.truncate()
        self._digest = hashlib.sha256()
        self.size = 0
        self.is_resumed = False
        self.note("", None)

    def note(self, validator: str, total: int | None) -> None:
        """Keep what the server says of the whole."""
        said = {"validator": validator, "total": total}
        if said != self._said:
            self._said = said
            text = json.dumps(said).encode()
            with replacing(_record(self.path), len(text)) as file:
                file.write(text)

    def check_room(self, total: int | None) -> None:
        """Raise ResourceError where the disk has no room for what is missing."""
        check_room(self.path.parent, (total or 0) - self.size, self.path.name)

    def finish(self) -> None:
        """Bring everything to the disk; what has come is the whole file."""
        self.note(self.validator, self.size)
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            raise _no_room(self.path, error) from error


@contextmanager
def opened(path: Path) -> Iterator[Part]:
    """Open a part, new or left by an earlier try; only one process at a time may have it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = FileIO(os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666), "r+")
    except OSError as error:
        raise FileError(path, f"cannot be written: {error.strerror or error}") from error
    with file:
        _lock(file, path)
        yield Part(path, file)


def remove(path: Path) -> None:
    """Take a part away, and what was noted of it."""
    path.unlink(missing_ok=True)
    _record(path).unlink(missing_ok=True)


def forget(path: Path) -> None:
    """Take away what was noted of a part that has got its name."""
    _record(path).unlink(missing_ok=True)


def check_room(folder: Path, size: int, what: str) -> None:
    """Raise ResourceError where a disk has no room for so many more bytes."""
    free = shutil.disk_usage(folder).free
    if size > free:
        raise ResourceError(
            f"{what} needs {size / 1e6:.1f} MB more, the disk of {folder} has {free / 1e6:.1f} MB free; make room, or "
            "choose another disk with --to."
        )


def _record(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _said(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(_record(path).read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _lock(file: FileIO, path: Path) -> None:
    try:
        lock(file.fileno())
    except OSError as error:
        raise FileError(path, "is being downloaded by another process") from error


def _no_room(path: Path, error: OSError) -> ResourceError:
    return ResourceError(
        f"{path}: cannot be written further: {error.strerror or error}; what has come is kept, the same command goes "
        "on from there."
    )
