"""The hashes by which sites and web UIs name model files."""

import hashlib
from pathlib import Path

from pochade.files.safetensors import LENGTH_BYTES, recognises

_BLOCK = 1 << 20
_LEGACY_START, _LEGACY_LENGTH = 0x100000, 0x10000


def legacy_hash(path: Path | str) -> str:
    """Return the web UI's old short hash, of a few bytes in the middle: many models share one."""
    with open(path, "rb") as file:
        file.seek(_LEGACY_START)
        return hashlib.sha256(file.read(_LEGACY_LENGTH)).hexdigest()[:8]


def tensors_hash(path: Path | str) -> str:
    """Return the SHA-256 of what follows a safetensors file's header, which no metadata changes, or of any other file.

    Web UIs know LoRAs by its first digits.
    """
    with open(path, "rb") as file:
        head = file.read(LENGTH_BYTES + 1)
        file.seek(LENGTH_BYTES + int.from_bytes(head[:LENGTH_BYTES], "little") if recognises(head) else 0)
        return hashlib.file_digest(file, "sha256").hexdigest()


def hashes(path: Path | str) -> dict[str, str]:
    """Return `sha256`, `autov1` (the web UI's old short hash), `autov2` and, for safetensors, `autov3`.

    `autov3` counts only the bytes after the header, so it does not change with the metadata.
    """
    whole, after_header = hashlib.sha256(), hashlib.sha256()
    with open(path, "rb") as file:
        head = file.read(LENGTH_BYTES + 1)
        header_end = LENGTH_BYTES + int.from_bytes(head[:LENGTH_BYTES], "little") if recognises(head) else None
        file.seek(0)
        position = 0
        while block := file.read(_BLOCK):
            whole.update(block)
            if header_end is not None:
                after_header.update(memoryview(block)[max(0, header_end - position) :])
            position += len(block)
    found = {"sha256": whole.hexdigest(), "autov1": legacy_hash(path), "autov2": whole.hexdigest()[:10]}
    if header_end is not None:
        found["autov3"] = after_header.hexdigest()[:12]
    return found
