"""Write files whole or not at all, and weights one tensor at a time."""

import errno
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from itertools import accumulate
from pathlib import Path
from threading import Lock
from typing import BinaryIO, TypeVar

import numpy as np

from pochade.errors import FileError, PochadeError, ResourceError, UsageError
from pochade.events import Event, Saved, Step
from pochade.files.dtypes import dtype_name, size_of
from pochade.files.locking import lock
from pochade.files.safetensors import LENGTH_BYTES, METADATA, MOST_HEADER_BYTES
from pochade.files.weights import Array, Weights

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_ALIGNMENT = 8
_MEGABYTE = 1_000_000
_HANDS = 2  # more would wait for each other
_Job = TypeVar("_Job")
_Made = TypeVar("_Made")
_MOST_CACHED = 64 * _MEGABYTE


class Pending(str):
    """A metadata text that is known in full only when the tensors are written: until then another, no shorter one."""

    begin: Callable[[], None]
    finish: Callable[[], str]

    def __new__(cls, text: str, begin: Callable[[], None], finish: Callable[[], str]) -> "Pending":
        """Stand in for what `finish` returns, which takes no more room than `text`; `begin` comes before writing."""
        new = super().__new__(cls, text)
        new.begin, new.finish = begin, finish
        return new


def save(path: Path | str, tensors: Mapping[str, Array], metadata: Mapping[str, str] | None = None) -> Path:
    """Write tensors as safetensors and return the path.

    Tensors are brought in and written one by one. Without `metadata`, that of the Weights is kept. The file gets
    its name only when it is complete; whatever stood there before stays until then.
    """
    weights = tensors if isinstance(tensors, Weights) else Weights.from_arrays(tensors)
    for _ in saving(path, weights, weights.metadata if metadata is None else metadata):
        pass
    return Path(path)


def saving(path: Path | str, weights: Weights, metadata: Mapping[str, str]) -> Iterator[Event]:
    """Write tensors as safetensors, block by block; yields a Step in megabytes after each, and Saved at the end."""
    names = sorted(weights, key=lambda name: (-size_of(weights.info(name).dtype), weights.info(name).dtype, name))
    header = _header(weights, names, metadata)
    ends = list(accumulate((weights.info(name).nbytes for name in names), initial=len(header)))
    places = dict(zip(names, ends, strict=False))
    with replacing(path, ends[-1]) as file:
        for text in metadata.values():
            if isinstance(text, Pending):
                text.begin()
        file.write(header)
        for end in in_hands(file, names, lambda shared, name: shared.write(places[name], bytes_of(weights, name))):
            yield megabytes(end, ends[-1])
        if file.seek(0, os.SEEK_END) != ends[-1]:
            raise FileError(path, f"wrote {file.tell()} bytes instead of {ends[-1]}")
        _finish(file, weights, names, metadata)
    yield Saved(Path(path))


def _finish(file: BinaryIO, weights: Weights, names: list[str], metadata: Mapping[str, str]) -> None:
    """Write the header anew where texts of it were pending."""
    finished = {name: text.finish() if isinstance(text, Pending) else text for name, text in metadata.items()}
    if any(isinstance(text, Pending) for text in metadata.values()):
        room = len(_header(weights, names, metadata))
        header = _header(weights, names, finished, room)
        assert len(header) == room
        file.seek(0)
        file.write(header)


def _header(weights: Weights, names: list[str], metadata: Mapping[str, str], room: int = 0) -> bytes:
    """Return length and JSON, padded so that the first tensor is aligned, and to `room` bytes."""
    if METADATA in weights or not all(isinstance(part, str) for pair in metadata.items() for part in pair):
        raise UsageError(f"Metadata must be texts, and no tensor may be named {METADATA}")
    table: dict[str, object] = {METADATA: dict(metadata)} if metadata else {}
    position = 0
    for name in names:
        info = weights.info(name)
        end = position + info.nbytes
        table[name] = {"dtype": info.dtype, "shape": info.shape, "data_offsets": [position, end]}
        position = end
    try:
        text = json.dumps(table, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"A name or metadata text is not valid Unicode: {error}") from error
    text = text.ljust(room - LENGTH_BYTES)
    text += b" " * (-len(text) % _ALIGNMENT)
    if len(text) > MOST_HEADER_BYTES:
        raise UsageError(f"Names and metadata need {len(text)} bytes; safetensors allows {MOST_HEADER_BYTES}")
    return len(text).to_bytes(LENGTH_BYTES, "little") + text


class SharedFile:
    """A file that is written at several places at once.

    What has reached the disk is let go from the file cache: it would push out the files that are read; and where a
    machine has its memory lent, as most in data centres do, fresh pages cost more than the writing itself.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._lock = Lock()
        self._cached = 0
        self._is_closed = False

    def close(self) -> None:
        """End what is still being written, where it stands."""
        self._is_closed = True

    def write(self, position: int, blocks: Iterable[memoryview | bytes]) -> int:
        """Write blocks in a row and return where they end."""
        for block in blocks:
            if self._is_closed:
                break
            self._put(position, block)
            position += len(block)
        return position

    def _put(self, position: int, block: memoryview | bytes) -> None:
        if not hasattr(os, "pwrite"):
            with self._lock:
                self._file.seek(position)
                self._file.write(block)
            return
        done = 0
        while done < len(block):
            done += os.pwrite(self._file.fileno(), block[done:], position + done)
        with self._lock:
            self._let_go(done)

    def _let_go(self, size: int) -> None:
        self._cached += size
        if self._cached >= _MOST_CACHED and hasattr(os, "posix_fadvise"):
            os.posix_fadvise(self._file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            self._cached = 0


def in_hands(file: BinaryIO, jobs: Iterable[_Job], do: Callable[[SharedFile, _Job], _Made]) -> Iterator[_Made]:
    """Do jobs that write to a file, some at a time, so that one makes numbers while another writes; yields what each
    made, in their order.
    """
    from concurrent.futures import ThreadPoolExecutor  # deferred: reading needs none

    shared = SharedFile(file)
    with ThreadPoolExecutor(_HANDS) as hands, closing(shared):
        yield from hands.map(partial(do, shared), jobs)


def megabytes(done: int, total: int) -> Step:
    """A Step as people read it."""
    return Step(-(-done // _MEGABYTE), -(-total // _MEGABYTE), "MB")


def bytes_of(weights: Weights, name: str) -> Iterator[memoryview]:
    """Yield the bytes of a tensor in blocks. Raises UsageError when it comes otherwise than its info says."""
    tensor = weights.lazy(name)
    done = 0
    for block in tensor.blocks():
        little = block.astype(block.dtype.newbyteorder("<"), copy=False) if block.dtype.byteorder == ">" else block
        if dtype_name(block.dtype) != tensor.info.dtype:
            raise UsageError(f"Tensor {name!r} came as {block.dtype}; {tensor.info} was announced")
        yield np.ascontiguousarray(little).view(np.uint8).data
        done += block.nbytes
    if done != tensor.info.nbytes:
        raise UsageError(f"Tensor {name!r} came with {done} bytes; {tensor.info} was announced")


@contextmanager
def replacing(path: Path | str, size: int = 0) -> Iterator[BinaryIO]:
    """Open a temporary neighbour of `path` for writing; it takes the place of `path` when the block ends well.

    `size` is the count of bytes to come, if known: a disk without that room is refused at once.
    """
    target = Path(os.path.realpath(path))
    temporary = _temporary(target)
    try:
        with _claimed(temporary) as file:
            try:
                _check_room(target, size)
                yield file
                file.flush()
                os.fsync(file.fileno())
                os.replace(temporary, target)
            finally:
                if _same_file(file, temporary):
                    temporary.unlink()
        _sync_folder(target.parent)
    except OSError as error:
        raise _explained(path, error) from error


@contextmanager
def replacing_folder(path: Path | str) -> Iterator[Path]:
    """Make a temporary neighbour folder to write into; it gets the name `path` when the block ends well.

    Raises UsageError when something stands there already: a whole folder is never replaced.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UsageError(f"{path} exists already; name a folder that is new, or empty.")
    temporary = _temporary(target)
    try:
        temporary.mkdir(exist_ok=True)
        descriptor = os.open(temporary, os.O_RDONLY)
        try:
            lock(descriptor)
            try:
                _empty(temporary)
                yield temporary
                os.replace(temporary, target)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
        finally:
            os.close(descriptor)
        _sync_folder(target.parent)
    except OSError as error:
        raise _explained(path, error) from error


def _temporary(target: Path) -> Path:
    import hashlib  # deferred: reading needs none

    digest = hashlib.sha256(target.name.encode(errors="surrogateescape")).hexdigest()
    return target.with_name(f".{digest[:12]}.part")


def _empty(folder: Path) -> None:
    """Take away what a killed process left."""
    for each in folder.iterdir():
        shutil.rmtree(each) if each.is_dir() else each.unlink()


def _claimed(temporary: Path) -> BinaryIO:
    """Open the temporary file, or take over one that a killed process left; only one process at a time may."""
    file = os.fdopen(os.open(temporary, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666), "r+b")
    try:
        lock(file.fileno())
        file.truncate(0)
    except OSError:
        file.close()
        raise
    return file


def _check_room(target: Path, size: int) -> None:
    free = shutil.disk_usage(target.parent).free
    if size > free:
        raise ResourceError(f"{target}: needs {size / 1e6:.1f} MB, the disk has {free / 1e6:.1f} MB free")


def _same_file(file: BinaryIO, path: Path) -> bool:
    """Tell whether the open file still bears this name."""
    return path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat())


def _sync_folder(folder: Path) -> None:
    """Make the new name durable, where the system lets folders be synced."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _explained(path: Path | str, error: OSError) -> PochadeError:
    if error.errno in _FULL:
        return ResourceError(f"{path}: the disk is full; nothing was changed")
    if error.errno in {errno.EWOULDBLOCK, errno.EAGAIN}:
        return FileError(path, "is being written by another process")
    return FileError(path, f"cannot be written: {error.strerror or error}")
