"""What lies beside a model under its name: previews, and the notes of A1111, Civitai Helper, StabilityMatrix and LoRA
Manager. They come from anywhere, so that nothing in them is taken for granted.
"""

import json
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from pochade.library.entries import Notes, plain

_PICTURES = ("png", "jpg", "jpeg", "webp", "gif")
PREVIEWS = (*(f".preview.{each}" for each in _PICTURES), *(f".{each}" for each in _PICTURES))
_COARSE = {"SD1", "SD2", "SDXL"}  # all that A1111 tells apart; others say Pony or Illustrious
_MOST_BYTES = 20_000_000
BROKEN = "sidecar-broken"
"""The problem of a model beside which something lies that cannot be read."""

_Table = Mapping[str, Any]


def _a1111(table: _Table) -> Notes:
    base = _text(table.get("sd version"))
    return Notes(
        description=plain(_text(table.get("description")) or _text(table.get("notes"))),
        base="" if base == "Unknown" else base,
        trigger_words=_words(table.get("activation text")),
        negative=_text(table.get("negative text")),
        weight=_weight(table.get("preferred weight")),
    )


def _civitai(table: _Table) -> Notes:
    model = _table(table.get("model"))
    return Notes(
        title=_text(model.get("name")) or _text(table.get("name")),
        description=plain(_text(model.get("description")) or _text(table.get("description"))),
        base=_text(table.get("baseModel")),
        tags=_list(model.get("tags")),
        trigger_words=_words(table.get("trainedWords")),
    )


def _stability_matrix(table: _Table) -> Notes:
    return Notes(
        title=_text(table.get("UserTitle")) or _text(table.get("ModelName")),
        description=plain(_text(table.get("ModelDescription")) or _text(table.get("VersionDescription"))),
        base=_text(table.get("BaseModel")),
        tags=_list(table.get("Tags")),
        trigger_words=_words(table.get("TrainedWords")),
    )


def _lora_manager(table: _Table) -> Notes:
    own = Notes(
        title=_text(table.get("model_name")),
        description=plain(_text(table.get("modelDescription")) or _text(table.get("notes"))),
        base=_text(table.get("base_model")),
        tags=_list(table.get("tags")),
        weight=_weight(_tips(table.get("usage_tips")).get("strength")),
    )
    return own.then(_civitai(_table(table.get("civitai"))))


_TABLES: tuple[tuple[str, Callable[[_Table], Notes]], ...] = (
    (".json", _a1111),
    (".civitai.info", _civitai),
    (".cm-info.json", _stability_matrix),
    (".metadata.json", _lora_manager),
)
_TEXTS = (".txt", ".description.txt")
ENDINGS = (*PREVIEWS, *(ending for ending, _ in _TABLES), *_TEXTS)
"""What stands behind a model's name without its suffix; what comes first is believed first."""


def beside(stem: str, present: Mapping[str, str]) -> list[str]:
    """The names of what lies beside a model, given all names in its folder by themselves and by how they are
    folded: beside `fox` that is first what is spelled so, then `Fox.json`.
    """
    folded = stem.casefold()
    found = (present.get(stem + ending) or present.get(folded + ending) for ending in ENDINGS)
    return list(filter(None, found))


def notes_in(folder: str, stem: str, names: Sequence[str]) -> Notes:
    """Read what beside() found; what is damaged becomes a problem, and hides nothing else."""
    notes = Notes(preview=_preview(folder, stem, names))
    paths = {name[len(stem) :].casefold(): os.path.join(folder, name) for name in names}
    for ending, reader in _TABLES:
        if ending in paths:
            found = _noted(paths[ending], reader)
            notes = replace(notes, base="") if notes.base in _COARSE and found.base else notes
            notes = notes.then(found)
    for ending in _TEXTS:
        if ending in paths:
            notes = notes.then(_told(paths[ending]))
    return notes


def _preview(folder: str, stem: str, names: Iterable[str]) -> str:
    found = (name for name in names if name[len(stem) :].casefold() in PREVIEWS)
    name = next(found, "")
    return os.path.join(folder, name) if name else ""


def _noted(path: str, reader: Callable[[_Table], Notes]) -> Notes:
    try:
        return reader(_parsed(_content(path)))
    except (OSError, ValueError, RecursionError, OverflowError):
        return Notes(problems=(BROKEN,))


def _told(path: str) -> Notes:
    try:
        return Notes(description=plain(_content(path).decode("utf-8-sig")))
    except (OSError, ValueError):
        return Notes(problems=(BROKEN,))


def _content(path: str) -> bytes:
    if not os.path.isfile(path):
        raise ValueError("a pipe, or nothing at all")
    with open(path, "rb") as file:
        content = file.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise ValueError("no note is that long")
    return content


def _parsed(content: bytes) -> _Table:
    """The table in a JSON text; other values, which other programs put there, and no text at all hold none."""
    return _table(json.loads(content.decode("utf-8-sig"))) if content.strip() else {}


def _tips(value: object) -> _Table:
    """A table that stands in another one as a text."""
    with suppress(ValueError):
        return _parsed(_text(value).encode(errors="replace"))
    return {}


def _table(value: object) -> _Table:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value.strip() if isinstance(value, str) else ""


def _list(value: object) -> tuple[str, ...]:
    return tuple(word for each in value if (word := _text(each))) if isinstance(value, list) else ()


def _words(value: object) -> tuple[str, ...]:
    """Trigger words, each once: a list, whose items may hold several with commas between them, or one such text."""
    texts = value if isinstance(value, list) else [value]
    words = (word.strip() for text in texts for word in _text(text).split(","))
    return tuple(dict.fromkeys(filter(None, words)))


def _weight(value: object) -> float | None:
    """A recommended weight; web UIs write 0 where there is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value) or None
