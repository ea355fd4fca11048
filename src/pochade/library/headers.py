"""The header of a safetensors file in two parts: what its tensors are, and what is said of it.

A trainer writes the same tensors into thousands of files, so what they are needs to be worked out only once.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pochade.files.safetensors import LENGTH_BYTES, METADATA

_MOST_BYTES = 4_000_000
_BEGIN = f'{{"{METADATA}":'


@dataclass(frozen=True)
class Header:
    """`tensors` is the same for files with the same tensors at the same places."""

    tensors: bytes
    metadata: Mapping[str, str]


def header_of(path: Path) -> Header | None:
    """Split the header of a file that begins with its metadata, as most programs write it; None for any other."""
    if not path.is_file():
        return None  # to open a pipe would wait for its other end
    try:
        with path.open("rb", buffering=0) as file:
            length = int.from_bytes(file.read(LENGTH_BYTES), "little")
            if not len(_BEGIN) < length <= _MOST_BYTES:
                return None
            text = str(file.read(length), "utf-8")
            size = file.seek(0, 2)
        metadata, end = _PAIRS.raw_decode(text, len(_BEGIN)) if text.startswith(_BEGIN) else ((), 0)
    except (OSError, ValueError, RecursionError):
        return None
    if not end or not _are_texts(metadata):
        return None
    found = hashlib.sha256(text[end:].encode())
    found.update(f"{size - length}".encode())
    return Header(found.digest(), dict(metadata))


def _are_texts(found: object) -> bool:
    """Tell whether it is what metadata must be: texts by names, each once, of nothing but characters."""
    if not isinstance(found, tuple) or not all(isinstance(value, str) for _, value in found):
        return False
    if len(dict(found)) < len(found):
        return False
    try:
        "".join(part for pair in found for part in pair).encode()
    except UnicodeEncodeError:
        return False
    return True


_PAIRS = json.JSONDecoder(object_pairs_hook=tuple)
"""Makes a tuple of an object, which a list never becomes."""
