"""A list of what was downloaded, from where, in the user's own data folder: one line of JSON for each.

Beside the models lies only what web UIs read there; a NAME.json would be taken for A1111's own notes.
"""

import json
import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pochade.library.own_folder import data_folder


def record(facts: dict[str, Any]) -> None:
    """Add a line. A list that cannot be written is no reason to fail: the file is there."""
    line = json.dumps(facts | {"time": datetime.now(UTC).isoformat(timespec="seconds")}, ensure_ascii=False) + "\n"
    path = _list()
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(line)


def _list() -> Path:
    return data_folder() / "downloads.jsonl"
