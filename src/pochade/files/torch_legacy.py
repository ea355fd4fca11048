"""Read what torch wrote before 1.6: pickles in a row, then the storages' raw bytes; and plain pickles of arrays.

Five pickles come first: a magic number, a protocol, facts of the machine, the object itself, and the keys of the
storages in the order in which their bytes follow. Only the object may name anything.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import NoReturn

from pochade.errors import UnsafeFileError
from pochade.files.allowed import Storage, StorageType, resolver
from pochade.files.dtypes import size_of
from pochade.files.mapped import MappedFile
from pochade.files.pickles import Machine
from pochade.files.state_dict import unwrapped
from pochade.files.weights import Array, TensorInfo, Weights, view

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_MOST_PICKLE_BYTES = 64_000_000
_OLD = re.compile(rb"[(\]}]{1,3}(?:[.dltpqcUVSX\[]|$)|[ci][A-Za-z_][\w.]*\n[A-Za-z_][\w.]*\n")
_COUNT = struct.Struct("<q")


def recognises(head: bytes) -> bool:
    """Tell whether a file begins like a pickle: of protocol 2 or later, or like one of protocol 0 and 1."""
    return (head[:1] == b"\x80" and head[1:2] <= b"\x05") or _OLD.match(head) is not None


def read(file: MappedFile) -> Weights:
    """Open a checkpoint of torch before 1.6, or a plain pickle with arrays; nothing in it is ever run."""
    storages = _Storages(file)
    first, position = _pickle(file, 0, storages)
    if first == _MAGIC:
        value, end = _torch(file, position, storages)
    else:
        value, end = first, position
    if end != file.size:
        raise UnsafeFileError(file.path, f"{file.size - end} bytes follow its last pickle")
    tensors, extra = unwrapped(file.path, value)
    return Weights(tensors, path=file.path, format="ckpt-legacy", extra=extra)


def _torch(file: MappedFile, position: int, storages: "_Storages") -> tuple[object, int]:
    """Read the four pickles after the magic number and find the storages; return the object and where the file ends."""
    protocol, position = _bare(file, position)
    if protocol != _PROTOCOL:
        raise file.malformed(f"has protocol {protocol!r:.20}; torch writes {_PROTOCOL}")
    system, position = _bare(file, position)
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise file.malformed("was written by a big-endian machine, which is not supported")
    value, position = _pickle(file, position, storages)
    keys, position = _bare(file, position)
    if not isinstance(keys, list) or set(map(str, keys)) != set(storages.counts) or len(keys) != len(storages.counts):
        raise file.malformed("lists other storages than its tensors use")
    for key in keys:
        position = storages.place(str(key), position)
    return value, position


def _pickle(file: MappedFile, position: int, storages: "_Storages") -> tuple[object, int]:
    machine = _machine(file, position)
    machine.persistent = storages.answer
    return machine.run(), machine.position


def _bare(file: MappedFile, position: int) -> tuple[object, int]:
    """Read a pickle that has no business with names."""

    def refuse(module: str, name: str) -> NoReturn:
        shown = f"{module}.{name}"[:200]
        raise UnsafeFileError(file.path, f"its pickle names {shown!r} where no name belongs", shown)

    machine = _machine(file, position)
    machine.resolve = refuse
    return machine.run(), machine.position


def _machine(file: MappedFile, position: int) -> Machine:
    end = min(file.size, position + _MOST_PICKLE_BYTES)
    return Machine(file.path, file.data, resolver(file.path), _no_storages, position, end)


def _no_storages(identity: object) -> NoReturn:
    raise ValueError("a storage where none can be")


@dataclass
class _Storages:
    """Storages as the pickle names them; where their bytes lie is known only after it."""

    file: MappedFile
    counts: dict[str, tuple[str, int]] = field(default_factory=dict)
    places: dict[str, int] = field(default_factory=dict)

    def answer(self, identity: object) -> Storage:
        """Answer ('storage', class, key, device, count of numbers, view), or the older form without the last."""
        match identity:
            case ("storage", StorageType(dtype=str(dtype)), str(key), str(), int(count), *rest) if len(rest) < 2:
                if self.counts.setdefault(key, (dtype, count)) != (dtype, count) or count < 0:
                    raise ValueError(f"two forms of the storage {key[:40]!r}")
                return self._part(key, dtype, count, rest[0] if rest else None)
        raise ValueError("a storage that the file does not have")

    def _part(self, key: str, dtype: str, count: int, part: object) -> Storage:
        """The storage, or the part of it that a view of torch before 0.4 shows."""
        item = size_of(dtype)
        match part:
            case None:
                begin, length = 0, count
            case (str(), int(begin), int(length)) if begin >= 0 and 0 <= length <= count - begin:
                pass
            case _:
                raise ValueError(f"a view beyond the storage {key[:40]!r}")
        look, blocks = partial(self._look, key, begin * item), partial(self._blocks, key, begin * item)
        return Storage(dtype, length * item, look, blocks)

    def place(self, key: str, position: int) -> int:
        """Note that a storage's count and bytes begin at `position`; return where they end."""
        dtype, count = self.counts[key]
        start = position + _COUNT.size
        end = start + count * size_of(dtype)
        if end > self.file.size:
            raise self.file.malformed(f"is cut: storage {key[:40]!r} should end at byte {end} of {self.file.size}")
        if _COUNT.unpack_from(self.file.data, position)[0] != count:
            raise self.file.malformed(f"gives storage {key[:40]!r} two sizes")
        self.places[key] = start
        return end

    def _blocks(self, key: str, begin: int, dtype: str, offset: int, nbytes: int) -> Iterator[Array]:
        return self.file.blocks(dtype, self.places[key] + begin + offset, nbytes)

    def _look(self, key: str, begin: int, info: TensorInfo, offset: int, strides: tuple[int, ...]) -> Array:
        return view(self.file.data, info, self.places[key] + begin + offset, strides)
