"""Hashes of model files; the short ones are remembered between runs: reading gigabytes once is enough."""

import hashlib
import json
from contextlib import suppress
from pathlib import Path

from platformdirs import user_cache_path

from pochade.errors import FileError, ResourceError
from pochade.files.saving import replacing

_SHORT = 10


def short_hash(path: Path) -> str:
    """First 10 hex digits of the SHA-256, as web UIs show it. A folder has none: the text is empty."""
    return "" if path.is_dir() else sha256(path)[:_SHORT]


def sha256(path: Path) -> str:
    """The SHA-256 of a file in hex; computed anew when its size or time changed."""
    found = remembered(path)
    if found is None:
        mark = _mark(path)
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        _remember(_remembered() | {str(path.resolve()): [found, *mark]})
    return found


def remembered(path: Path) -> str | None:
    """The SHA-256 of a file in hex, where it was computed before and the file has not changed since."""
    entry = _remembered().get(str(path.resolve()))
    return str(entry[0]) if entry is not None and entry[1:] == _mark(path) else None


def _mark(path: Path) -> list[int]:
    state = path.stat()
    return [state.st_size, state.st_mtime_ns]


def _cache() -> Path:
    return user_cache_path("pochade", appauthor=False) / "hashes.json"


def _remembered() -> dict[str, list[object]]:
    try:
        found = json.loads(_cache().read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return {path: entry for path, entry in found.items() if _is_entry(entry)} if isinstance(found, dict) else {}


def _is_entry(value: object) -> bool:
    """Tell whether it is a hash, then two numbers: anything may have happened to a file that lies about for years."""
    return isinstance(value, list) and list(map(type, value)) == [str, int, int]


def _remember(known: dict[str, list[object]]) -> None:
    """Keep what is known. A cache that cannot be written, or is just being written, only costs time."""
    path = _cache()
    text = json.dumps(known).encode()
    with suppress(OSError, FileError, ResourceError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path, len(text)) as file:
            file.write(text)
