"""Several prompts in one: parts joined by the word AND, each with an own weight at its end."""

import re

_AND = re.compile(r"\bAND\b")
_WEIGHT = re.compile(r":\s*([-+]?(?:\d*\.\d+|\d+\.?))\Z")


def _weighted(part: str) -> tuple[str, float]:
    text = part.rstrip()
    weight = _WEIGHT.search(text)
    return (text[: weight.start()].rstrip(), float(weight[1])) if weight else (text, 1.0)


def split(text: str) -> list[tuple[str, float]]:
    """The parts of a prompt with their weights; a prompt without AND is one part and may have a weight too."""
    return [_weighted(part) for part in _AND.split(text)]
