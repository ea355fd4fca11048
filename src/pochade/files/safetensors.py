"""Read safetensors: a JSON header that says where each tensor's bytes lie, then the bytes."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Any

from pochade.files.mapped import MappedFile
from pochade.files.weights import LazyArray, TensorInfo, Weights, view

LENGTH_BYTES = 8
MOST_HEADER_BYTES = 100_000_000
METADATA = "__metadata__"
_FIELDS = {"dtype", "shape", "data_offsets"}
_SHOWN = 60


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
    places: dict[str, tuple[TensorInfo, int, int]] = {}
    metadata: dict[str, str] | None = None
    try:
        for name, entry in _entries(file, start):
            if name in places or (name == METADATA and metadata is not None):
                raise ValueError(f"the name {name[:200]!r} stands there twice")
            if name == METADATA:
                metadata = _metadata(entry)
            else:
                places[name] = _place(name, entry)
        _check_layout(places, file.size - start)
    except ValueError as error:
        raise file.malformed(f"has a broken safetensors header: {error}") from error
    arrays = {
        name: LazyArray(
            info,
            partial(view, file.data, info, start + begin),
            partial(file.blocks, info.dtype, start + begin, end - begin),
        )
        for name, (info, begin, end) in places.items()
    }
    return Weights(arrays, metadata, file.path, "safetensors")


def _entries(file: MappedFile, end: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield name and object of every entry. Some are decoded at once, which is faster than each by itself, and not all:
    a hostile header costs no more than those up to its first mistake.
    """
    position = LENGTH_BYTES + 1
    if file.data[LENGTH_BYTES:position] != b"{":
        raise ValueError("it is not a JSON object")
    last = _NOTHING.match(file.data, position, end)
    while last is None:
        found = _SOME.match(file.data, position, end)
        if found is None:
            raise ValueError(_obstacle(file, position, end))
        table = _DECODER.decode(f"{{{str(found[1], 'utf-8')}}}")
        _check_text(*table)
        yield from table.items()
        position = found.end()
        last = found if found[2] == b"}" else None
    position = last.end()
    if _SPACES.fullmatch(file.data, position, end) is None:
        raise ValueError(_obstacle(file, position, end))


def _obstacle(file: MappedFile, position: int, end: int) -> str:
    """Say what stands where an entry or the end should be."""
    seen = bytes(file.data[position : min(position + _SHOWN, end)])
    if b"\0" in seen:
        return "it holds NUL bytes (some exporters pad with them; spaces are right)"
    return f"at byte {position}, {str(seen, 'utf-8', 'replace')!r} is neither an entry with its fields nor the end"


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"the name {twice[:200]!r} stands there twice")
    return found


def _refuse_constant(constant: str) -> float:
    raise ValueError(f"{constant} is not JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_without_duplicates, parse_constant=_refuse_constant)
_SPACE = rb"[ \t\r\n]*+"
_STRING = rb'"[^"\\\x00-\x1f]*+(?:\\.[^"\\\x00-\x1f]*+)*+"'
_SPACES = re.compile(_SPACE)
_NOTHING = re.compile(_SPACE + rb"\}")
_VALUE = _STRING + rb"|\[[-+.\w, \t\r\n]{0,4096}+\]|[-+.\w]{1,64}+"
_FIELD = rb"%(space)s%(string)s%(space)s:%(space)s(?:%(value)s)%(space)s(?:,|(?=\}))" % {
    b"space": _SPACE, b"string": _STRING, b"value": _VALUE
}  # fmt: skip
_ENTRY = rb"%(space)s%(string)s%(space)s:%(space)s\{(?:%(field)s)*+%(space)s\}%(space)s" % {
    b"space": _SPACE, b"string": _STRING, b"field": _FIELD
}  # fmt: skip
"""A name and an object of texts, numbers and short lists. Nothing is tried twice, so matching takes linear time."""
_SOME = re.compile(rb"(%(entry)s(?:,%(entry)s){0,255}+)(\}|,(?!%(space)s\}))" % {b"space": _SPACE, b"entry": _ENTRY})


def _metadata(found: dict[str, Any]) -> dict[str, str]:
    if not all(isinstance(value, str) for value in found.values()):
        raise ValueError("its metadata is not a table of texts")
    _check_text(*found, *found.values())
    return found


def _check_text(*texts: str) -> None:
    """Refuse lone surrogates, which JSON can spell but no text holds."""
    "".join(texts).encode()


def _place(name: str, entry: dict[str, Any]) -> tuple[TensorInfo, int, int]:
    """Return what an entry says: the tensor's type and shape, and where its bytes begin and end."""
    if entry.keys() != _FIELDS:
        raise ValueError(f"the entry of {name[:200]!r} does not have exactly dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or not isinstance(shape, list) or not _are_offsets(offsets):
        raise ValueError(f"the entry of {name[:200]!r} has a field of the wrong type")
    begin, end = offsets
    info = TensorInfo(dtype, tuple(shape))
    needed = info.nbytes
    if end - begin != needed:
        raise ValueError(f"{name[:200]!r} needs {needed} bytes by its shape, but {end - begin} are given")
    return info, begin, end


def _are_offsets(found: object) -> bool:
    return isinstance(found, list) and len(found) == 2 and type(found[0]) is type(found[1]) is int and min(found) >= 0


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
