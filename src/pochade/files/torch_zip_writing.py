"""Write a torch checkpoint as torch itself does: a zip of one pickle and a member per tensor, none of them packed."""

import math
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from pochade.errors import UsageError
from pochade.events import Event, Saved
from pochade.files.dtypes import TORCH_STORAGES
from pochade.files.saving import SharedFile, bytes_of, in_hands, megabytes, replacing
from pochade.files.weights import TensorInfo, Weights
from pochade.files.zips import CENTRAL, END, END64, LOCAL, LOCATOR64, MAX16, MAX32, WIDE

_ROOT = "archive"
_ALIGNMENT = 64
_PADDING = 0x4246
_ZIP64_VERSION = 45
_DATE = 0x21  # the first day that a zip can tell: the same weights give the same bytes
_STORAGES = {dtype: name for name, dtype in TORCH_STORAGES.items()}
_Part: TypeAlias = tuple[int, Iterator[memoryview]]
_ORDERED = b"ccollections\nOrderedDict\n)R"


def saving_torch(path: Path | str, weights: Weights, extra: Mapping[str, int | str]) -> Iterator[Event]:
    """Write `{"state_dict": tensors, **extra}`; yields Steps in megabytes, and Saved at the end.

    Raises UsageError for numbers that torch has no storage class for.
    """
    content = _pickle(weights, extra)
    parts = {"data.pkl": _plain(content), "byteorder": _plain(b"little")}
    parts |= {f"data/{at}": (weights.info(name).nbytes, bytes_of(weights, name)) for at, name in enumerate(weights)}
    parts["version"] = _plain(b"3\n")
    members = list(_laid_out({name: size for name, (size, _) in parts.items()}))
    jobs = ((member, blocks) for member, (_, blocks) in zip(members, parts.values(), strict=True))
    total = members[-1].end
    directory = bytearray()
    with replacing(path, total) as file:
        for member, crc in zip(members, in_hands(file, jobs, _write), strict=True):
            directory += member.entry(crc)
            yield megabytes(member.end, total)
        file.seek(total)
        file.write(directory + _ending(total, len(directory), len(members)))
    yield Saved(Path(path))


def _plain(content: bytes) -> _Part:
    return len(content), iter([memoryview(content)])


@dataclass(frozen=True)
class _Member:
    """One file of the zip: its bytes, as many as `size`, follow a header that lies `at` a place."""

    path: bytes
    size: int
    at: int

    @property
    def start(self) -> int:
        """Where its bytes begin."""
        return self.at + len(self.header(0))

    @property
    def end(self) -> int:
        """Where they end."""
        return self.start + self.size

    def header(self, crc: int) -> bytes:
        """Its own header, as long as its bytes need to be aligned as torch has them."""
        is_wide = self.size >= MAX32
        wide = struct.pack("<HHQQ", WIDE, 16, self.size, self.size) if is_wide else b""
        short = MAX32 if is_wide else self.size
        gap = -(self.at + LOCAL.size + len(self.path) + len(wide) + 4) % _ALIGNMENT
        extra = wide + struct.pack("<HH", _PADDING, gap) + b"Z" * gap
        version = _ZIP64_VERSION if is_wide else 0
        fields = (version, 0, 0, 0, _DATE, crc, short, short, len(self.path), len(extra))
        return LOCAL.pack(b"PK\3\4", *fields) + self.path + extra

    def entry(self, crc: int) -> bytes:
        """What the directory tells of it."""
        places = [value for value in (self.size, self.size, self.at) if value >= MAX32]
        extra = struct.pack(f"<HH{len(places)}Q", WIDE, 8 * len(places), *places) if places else b""
        version = _ZIP64_VERSION if places else 0
        short, at = min(self.size, MAX32), min(self.at, MAX32)
        fields = (version, version, 0, 0, 0, _DATE, crc, short, short, len(self.path), len(extra), 0, 0, 0, 0, at)
        return CENTRAL.pack(b"PK\1\2", *fields) + self.path + extra


def _laid_out(sizes: Mapping[str, int]) -> Iterator[_Member]:
    """Yield members in a row."""
    at = 0
    for name, size in sizes.items():
        member = _Member(f"{_ROOT}/{name}".encode(), size, at)
        yield member
        at = member.end


def _write(file: SharedFile, job: tuple[_Member, Iterator[memoryview]]) -> int:
    """Write a member, and return its checksum, which stands before it."""
    member, blocks = job
    crc, position = 0, member.start
    for block in blocks:
        crc = zlib.crc32(block, crc)
        position = file.write(position, [block])
    file.write(member.at, [member.header(crc)])
    return crc


def _ending(start: int, size: int, count: int) -> bytes:
    """The records that end the file, given where the directory of `count` members lies."""
    end = start + size
    wide = b""
    if end >= MAX32 or count >= MAX16:
        record = (END64.size - 12, _ZIP64_VERSION, _ZIP64_VERSION, 0, 0, count, count, size, start)
        wide = END64.pack(b"PK\6\6", *record) + LOCATOR64.pack(b"PK\6\7", 0, end, 1)
    short = min(count, MAX16)
    return wide + END.pack(b"PK\5\6", 0, 0, short, short, min(size, MAX32), min(start, MAX32), 0)


def _pickle(weights: Weights, extra: Mapping[str, int | str]) -> bytes:
    """The pickle that describes everything, of protocol 2 as torch writes it."""
    parts = [b"\x80\x02}(", _text("state_dict"), _ORDERED, b"("]
    for number, name in enumerate(weights):
        parts += [_text(name), _tensor(str(number), weights.info(name))]
    parts.append(b"u")
    for key, value in extra.items():
        parts += [_text(key), _text(value) if isinstance(value, str) else _int(value)]
    return b"".join([*parts, b"u."])


def _tensor(key: str, info: TensorInfo) -> bytes:
    """A tensor that fills the storage of this key."""
    if info.dtype not in _STORAGES:
        raise UsageError(f"A torch checkpoint cannot hold {info.dtype} numbers; write a safetensors file instead.")
    storage = b"".join(
        [b"(", _text("storage"), b"ctorch\n", _STORAGES[info.dtype].encode(), b"\n", _text(key), _text("cpu")]
    )
    strides = [math.prod(info.shape[axis + 1 :]) for axis in range(len(info.shape))]
    rebuild = b"ctorch._utils\n_rebuild_tensor_v2\n("
    place = b"tQK\0" + _tuple(info.shape) + _tuple(strides)
    return b"".join([rebuild, storage, _int(info.size), place, b"\x89", _ORDERED, b"tR"])


def _tuple(values: Iterable[int]) -> bytes:
    return b"(" + b"".join(map(_int, values)) + b"t"


def _int(value: int) -> bytes:
    if 0 <= value < 256:
        return b"K" + bytes([value])
    if -(2**31) <= value < 2**31:
        return b"J" + struct.pack("<i", value)
    raw = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(raw)]) + raw


def _text(value: str) -> bytes:
    raw = value.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(raw)) + raw
