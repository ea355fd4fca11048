"""Tables inside a file's metadata. Its texts come from anywhere, so that nothing in them is taken for granted."""

import json
from collections.abc import Mapping
from typing import Any

_DEEPEST = 500  # what is nested deeper could be read, yet not be written again inside another table


def table_in(metadata: Mapping[str, str], name: str) -> dict[str, Any]:
    """Return the table that one of the texts holds as JSON; nothing where it is missing or no such table."""
    try:
        found = json.loads(metadata.get(name, "{}"))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) and _depth(found) <= _DEEPEST else {}


def _depth(value: object) -> int:
    depth, level = 0, [value]
    while level := [child for each in level for child in _children(each)]:
        depth += 1
    return depth


def _children(value: object) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []
