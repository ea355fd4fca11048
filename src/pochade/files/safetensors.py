"""Read safetensors: a JSON header that says where each tensor's bytes lie, then the bytes."""

import json
from collections import Counter
from functools import partial
from typing import Any

from pochade.files.dtypes import checked_bytes
from pochade.files.mapped import MappedFile
from pochade.files.weights import LazyArray, TensorInfo, Weights, view

LENGTH_BYTES = 8
MOST_HEADER_BYTES = 100_000_000
METADATA = "__metadata__"
_FIELDS = {"dtype", "shape", "data_offsets"}


def recognises(head: bytes) -> bool:
    """Tell whether a file begins like safetensors: a length, then an object, or at least a sane length."""
    if head[LENGTH_BYTES : LENGTH_BYTES + 1] == b"{":
        return True
    sane = 0 < int.from_bytes(head[:LENGTH_BYTES], "little") <= MOST_HEADER_BYTES
    return sane and len(head) > LENGTH_BYTES and not head.startswith(b"\x80")


def read(file: MappedFile) -> Weights:
    """Open a safetensors file; every rule of the format is checked before anything is allocated."""
    length = int.from_bytes(file.data[:LENGTH_BYTES], "little")
    start = LENGTH_BYTES + length
    if length > MOST_HEADER_BYTES:
        raise file.malformed(f"claims a header of {length} bytes; the format allows {MOST_HEADER_BYTES}")
    if start > file.size:
        raise file.malformed(f"is cut: its header should have {length} bytes, the file has {file.size} in all")
    try:
        header = _parse(file, start)
        metadata = _metadata(header.pop(METADATA, {}))
        places = {name: _place(name, entry) for name, entry in header.items()}
        _check_layout(places, file.size - start)
    except (ValueError, RecursionError) as error:
        problem = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise file.malformed(f"has a broken safetensors header: {problem}") from error
    arrays = {
        name: LazyArray(info, partial(view, file.data, info, start + begin))
        for name, (info, begin, _) in places.items()
    }
    return Weights(arrays, metadata, file.path, "safetensors")


def _parse(file: MappedFile, end: int) -> dict[str, Any]:
    """Return the header as a dictionary without duplicate names."""
    if file.data[LENGTH_BYTES : LENGTH_BYTES + 1] != b"{":
        raise ValueError("it is not a JSON object")
    if file.data.find(b"\0", LENGTH_BYTES, end) >= 0:
        raise ValueError("it holds NUL bytes (some exporters pad with them; spaces are right)")
    text = str(memoryview(file.data)[LENGTH_BYTES:end], "utf-8")
    header: dict[str, Any] = json.loads(text, object_pairs_hook=_without_duplicates, parse_constant=_refuse_constant)
    "".join(header).encode()  # refuses names that are not text (lone surrogates)
    return header


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"the name {twice[:200]!r} stands there twice")
    return found


def _refuse_constant(constant: str) -> float:
    raise ValueError(f"{constant} is not JSON")


def _metadata(found: object) -> dict[str, str]:
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise ValueError("its metadata is not a table of texts")
    return found


def _place(name: str, entry: object) -> tuple[TensorInfo, int, int]:
    """Return what an entry says: the tensor's type and shape, and where its bytes begin and end."""
    short = repr(name[:200])
    if not isinstance(entry, dict) or set(entry) != _FIELDS:
        raise ValueError(f"the entry of {short} does not have exactly dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or not isinstance(shape, list) or not _are_offsets(offsets):
        raise ValueError(f"the entry of {short} has a field of the wrong type")
    begin, end = offsets
    needed = checked_bytes(dtype, tuple(shape))
    if end - begin != needed:
        raise ValueError(f"{short} needs {needed} bytes by its shape, but {end - begin} are given")
    return TensorInfo(dtype, tuple(shape)), begin, end


def _are_offsets(found: object) -> bool:
    return isinstance(found, list) and len(found) == 2 and all(type(each) is int and each >= 0 for each in found)


def _check_layout(places: dict[str, tuple[TensorInfo, int, int]], size: int) -> None:
    """Refuse gaps, overlaps and bytes that belong to no tensor."""
    position = 0
    for name, (_, begin, end) in sorted(places.items(), key=lambda item: item[1][1:]):
        if begin != position:
            problem = "overlaps the tensor before it" if begin < position else "leaves a gap before it"
            raise ValueError(f"{name[:200]!r} {problem}")
        position = end
    if position > size:
        raise ValueError(f"the file is cut: tensors need {position} bytes, {size} are there")
    if position < size:
        raise ValueError(f"{size - position} bytes after the last tensor belong to nothing")
