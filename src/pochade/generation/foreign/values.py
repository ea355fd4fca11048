"""Values out of JSON that anyone may have written: of the kind that is wanted, or nothing."""

import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from pochade.generation.parameters.infotext import parted
from pochade.generation.record import file_name

_MODEL_FILE = re.compile(r"\.(safetensors|sft|ckpt|pth?|bin)$", re.IGNORECASE)


def table(value: Any) -> dict[str, Any]:
    """A JSON object, from text or parsed already; an empty one if it is none."""
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return {}
    return value if isinstance(value, dict) else {}


def rows(value: Any) -> list[Any]:
    """A JSON list; an empty one if it is none."""
    return value if isinstance(value, list) else []


def word(value: Any) -> str:
    """A text, or a number as A1111 writes it; empty for anything else.

    >>> word(7.0), word("Euler"), word(None)
    ('7', 'Euler', '')
    """
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # half characters are no text
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, float) or not math.isfinite(value):
        return ""
    return f"{value:.0f}" if value.is_integer() else f"{value:.12g}"


def number(value: Any, default: float = 0.0) -> float:
    """A number, also one that is written as text."""
    try:
        found = float(word(value))
    except ValueError:
        return default
    return found if math.isfinite(found) else default


def stem(path: str) -> str:
    """The name of a model's file as A1111 shows it: without folders and without its ending."""
    return _MODEL_FILE.sub("", file_name(path))


def lora_tag(name: str, weights: str = "") -> str:
    """The tag by which a prompt of A1111 asks for a LoRA: the file's name without folders, then what it counts."""
    return f"<lora:{stem(name)}:{weights or '1'}>"


def with_tags(prompt: str, tags: Iterable[str]) -> str:
    """A prompt with tags behind it."""
    return " ".join(filter(None, (prompt, *tags)))


def known(parameters: Mapping[str, Any]) -> dict[str, str]:
    """The parameters that have a value, in the form in which `infotext.read` gives them."""
    found: dict[str, str] = {}
    for name, value in parameters.items():
        if text := word(value):
            found |= parted(name, text) if name == "Size" else {name: text}
    return found


def size(width: Any, height: Any) -> str:
    """Both sides in one piece; empty if one is not there."""
    return f"{word(width)}x{word(height)}" if word(width) and word(height) else ""
