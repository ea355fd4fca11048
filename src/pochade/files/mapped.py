"""A file mapped into memory: its bytes are there, yet only those that are used are ever read."""

import io
import mmap
import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from pochade.errors import FileError, MalformedFileError, MissingFileError
from pochade.files.dtypes import numpy_dtype, size_of
from pochade.files.weights import BLOCK, Array

_NORESERVE = 0x4000 if sys.platform == "linux" else 0  # do not count the private map against free memory


@dataclass(frozen=True)
class MappedFile:
    """The bytes of a file. Writing to them stays private to this process."""

    path: Path
    data: mmap.mmap | bytearray
    peek: Callable[[int, int], bytes]
    """Read a few bytes, given position and count, without mapping their neighbourhood; only while the file is open."""

    identity: tuple[int, ...] = ()
    """Device, number, size and time of the file when it was opened."""

    @property
    def size(self) -> int:
        """Bytes in the file."""
        return len(self.data)

    def blocks(self, dtype: str, start: int, nbytes: int) -> Iterator[Array]:
        """Read numbers that lie in a row from the file itself: pages of the map would count as memory in use.

        Raises FileError when the file was changed since it was opened, or is gone.
        """
        size = BLOCK * size_of(dtype)
        buffer = np.empty(size, np.uint8)
        with reading(self.path), open(self.path, "rb", buffering=0) as file:
            if _identity(os.fstat(file.fileno())) != self.identity:
                raise FileError(self.path, "was changed while it was being read; start again")
            file.seek(start)
            for done in range(0, nbytes, size):
                part = buffer[: min(size, nbytes - done)]
                if file.readinto(part.data) != len(part):
                    raise FileError(self.path, "cannot be read to its end")
                yield part.view(numpy_dtype(dtype))

    def stream(self) -> BinaryIO:
        """Open the bytes as a file that is read from its beginning."""
        return _Bounded(_Stream(self.data), len(self.data))

    def malformed(self, problem: str) -> MalformedFileError:
        """Make the error that says what is wrong with the file."""
        return MalformedFileError(self.path, problem)


class _Bounded(io.BufferedReader):
    """Makes room for what is there, not for what is asked: a damaged file can make its reader ask for gigabytes."""

    def __init__(self, raw: io.RawIOBase, size: int) -> None:
        super().__init__(raw)
        self._size = size

    def read(self, size: int | None = -1) -> bytes:
        left = max(0, self._size - self.tell())
        return super().read(left if size is None or size < 0 else min(size, left))


class _Stream(io.RawIOBase):
    """A file over bytes that are mapped already."""

    def __init__(self, data: mmap.mmap | bytearray) -> None:
        self._data = data
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: len(self._data)}[whence]
        self._position = base + offset
        return self._position

    def readinto(self, buffer: Any) -> int:
        part = self._data[self._position : self._position + len(buffer)]
        buffer[: len(part)] = part
        self._position += len(part)
        return len(part)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what the system says against reading a file, or files in a folder, into a FileError."""
    try:
        yield
    except OSError as error:
        raise FileError(error.filename or path, f"cannot be read: {error.strerror or error}") from error


@contextmanager
def mapped(path: Path) -> Iterator[MappedFile]:
    """Open and map a regular file that is not empty; the map stays when the file is closed.

    Devices, pipes and folders are refused at once.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise MissingFileError(path, "there is no such file") from error
    except (OSError, ValueError) as error:
        raise FileError(path, f"cannot be opened: {error}") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise MalformedFileError(path, "is not a regular file")
        if status.st_size == 0:
            raise MalformedFileError(path, "is empty; the download or copy did not finish")
        data = _map(descriptor, status.st_size)
        yield MappedFile(path, data, _peeking(descriptor, data), _identity(status))
    finally:
        os.close(descriptor)


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _peeking(descriptor: int, data: mmap.mmap | bytearray) -> Callable[[int, int], bytes]:
    def peek(position: int, count: int) -> bytes:
        if position > len(data) or not hasattr(os, "pread"):
            return bytes(data[position : position + count])
        return os.pread(descriptor, count, position)

    return peek


def _map(descriptor: int, size: int) -> mmap.mmap | bytearray:
    """Map, or read the whole file where the file system cannot map."""
    try:
        if sys.platform == "linux":
            flags = mmap.MAP_PRIVATE | _NORESERVE
            return mmap.mmap(descriptor, size, flags=flags, prot=mmap.PROT_READ | mmap.PROT_WRITE)
        return mmap.mmap(descriptor, size, access=mmap.ACCESS_COPY)
    except OSError:
        whole = bytearray(size)
        with open(descriptor, "rb", buffering=0, closefd=False) as file:
            done = 0
            while done < size and (count := file.readinto(memoryview(whole)[done:])):
                done += count
        return whole[:done]
