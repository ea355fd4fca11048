"""Files of prompts, one on each line, as A1111's "Prompts from file" reads them.

A line that begins with -- holds options with their values, quoted as in a shell; any other line is a prompt as it is.
"""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from pochade.errors import UsageError

_MARK = "--"
SENTENCES = ("prompt", "negative_prompt")  # take every word up to the next option


@dataclass(frozen=True)
class Line:
    """What one line says: its options by name, with _ for -, and their texts."""

    number: int
    values: Mapping[str, str]


def parse(text: str) -> list[Line]:
    """The lines of a file; empty ones and notes, which begin with #, are left out.

    Raises UsageError, with the line's number, for options that cannot be read.
    """
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1)]
    return [Line(number, _values(number, line)) for number, line in lines if line and not line.startswith("#")]


def _values(number: int, line: str) -> dict[str, str]:
    if not line.startswith(_MARK):
        return {"prompt": line}
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise UsageError(
            f"Line {number}: a quote is opened and never closed; close it, or write \\' for one."
        ) from error
    values: dict[str, str] = {}
    while words:
        name, told = _name(number, words.pop(0)), _told(words)
        if not told:
            raise UsageError(f"Line {number}: --{name} has no value; give one behind it.")
        if name not in SENTENCES and len(told) > 1:
            raise UsageError(
                f"Line {number}: --{name} takes one value, but {told[1]!r} follows; quote what has blanks."
            )
        values[name] = " ".join(told)
        del words[: len(told)]
    return values


def _name(number: int, word: str) -> str:
    name = word.removeprefix(_MARK).replace("-", "_")
    if not name:
        raise UsageError(f"Line {number}: {word!r} names no option; write --name value.")
    return name


def _told(words: list[str]) -> list[str]:
    """The words up to the next option."""
    end = next((place for place, word in enumerate(words) if word.startswith(_MARK)), len(words))
    return words[:end]
