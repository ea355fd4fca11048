"""Write a torch checkpoint as torch itself does: a zip of one pickle and a member per tensor, none of them packed."""

import math
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from pochade.errors import UsageError
from pochade.events import Event, Saved
from pochade.files.dtypes import TORCH_STORAGES
from pochade.files.saving import bytes_of, megabytes, replacing
from pochade.files.weights import TensorInfo, Weights
from pochade.files.zips import CENTRAL, END, END64, LOCAL, LOCATOR64, MAX16, MAX32, WIDE

_ROOT = "archive"
_ALIGNMENT = 64
_CRC_AT = 14
_PADDING = 0x4246
_ZIP64_VERSION = 45
_DATE = 0x21  # the first day that a zip can tell: the same weights give the same bytes
_STORAGES = {dtype: name for name, dtype in TORCH_STORAGES.items()}
_ORDERED = b"ccollections\nOrderedDict\n)R"


def saving_torch(path: Path | str, weights: Weights, extra: Mapping[str, int | str]) -> Iterator[Event]:
    """Write `{"state_dict": tensors, **extra}`; yields a Step in megabytes after each, and Saved at the end.

    Raises UsageError for numbers that torch has no storage class for.
    """
    names = list(weights)
    content = _pickle(weights, extra)
    total = len(content) + sum(weights.info(name).nbytes for name in names)
    with replacing(path, total) as file:
        zipped = _Zip(file)
        zipped.add("data.pkl", len(content), iter([memoryview(content)]))
        zipped.add("byteorder", 6, iter([memoryview(b"little")]))
        for number, name in enumerate(names):
            zipped.add(f"data/{number}", weights.info(name).nbytes, bytes_of(weights, name))
            yield megabytes(min(file.tell(), total), total)
        zipped.add("version", 2, iter([memoryview(b"3\n")]))
        zipped.close()
    yield Saved(Path(path))


class _Zip:
    """A zip that is written in one go; only each checksum is filled in afterwards."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.directory = bytearray()
        self.count = 0

    def add(self, name: str, size: int, blocks: Iterator[memoryview]) -> None:
        """Write one member, its bytes aligned as torch has them."""
        header = self.file.tell()
        path = f"{_ROOT}/{name}".encode()
        is_wide = size >= MAX32
        wide = struct.pack("<HHQQ", WIDE, 16, size, size) if is_wide else b""
        short = MAX32 if is_wide else size
        gap = -(header + LOCAL.size + len(path) + len(wide) + 4) % _ALIGNMENT
        extra = wide + struct.pack("<HH", _PADDING, gap) + b"Z" * gap
        version = _ZIP64_VERSION if is_wide else 0
        local = LOCAL.pack(b"PK\3\4", version, 0, 0, 0, _DATE, 0, short, short, len(path), len(extra))
        self.file.write(local + path + extra)
        crc = 0
        for block in blocks:
            crc = zlib.crc32(block, crc)
            self.file.write(block)
        end = self.file.tell()
        self.file.seek(header + _CRC_AT)
        self.file.write(struct.pack("<I", crc))
        self.file.seek(end)
        self._enter(path, crc, size, header)

    def _enter(self, path: bytes, crc: int, size: int, header: int) -> None:
        """Note a member in the directory."""
        places = [value for value in (size, size, header) if value >= MAX32]
        extra = struct.pack(f"<HH{len(places)}Q", WIDE, 8 * len(places), *places) if places else b""
        version = _ZIP64_VERSION if places else 0
        short, at = min(size, MAX32), min(header, MAX32)
        fields = (version, version, 0, 0, 0, _DATE, crc, short, short, len(path), len(extra), 0, 0, 0, 0, at)
        self.directory += CENTRAL.pack(b"PK\1\2", *fields) + path + extra
        self.count += 1

    def close(self) -> None:
        """Write the directory and the records that end the file."""
        start, size = self.file.tell(), len(self.directory)
        end = start + size
        self.file.write(self.directory)
        if end >= MAX32 or self.count >= MAX16:
            record = (END64.size - 12, _ZIP64_VERSION, _ZIP64_VERSION, 0, 0, self.count, self.count, size, start)
            self.file.write(END64.pack(b"PK\6\6", *record) + LOCATOR64.pack(b"PK\6\7", 0, end, 1))
        short = min(self.count, MAX16)
        self.file.write(END.pack(b"PK\5\6", 0, 0, short, short, min(size, MAX32), min(start, MAX32), 0))


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
