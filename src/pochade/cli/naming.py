"""Where pictures go: a file that the user named, or the next free number in a folder."""

import re
from collections.abc import Callable
from datetime import date
from pathlib import Path

from pochade.errors import UsageError
from pochade.generation.picture import Picture, format_of

_NUMBERED = re.compile(r"(\d{5,})-")

Name = Callable[[Picture], Path]


def namer(output: Path | None, count: int, command: str) -> Name:
    """How to name each picture of a run. Only a file that the user named is ever written over."""
    if output is None:
        return _numbered(Path("outputs", command, date.today().isoformat()))
    if output.is_dir() or not output.suffix:
        return _numbered(output)
    format_of(output)  # an unknown format is refused before the drawing begins
    if count == 1:
        return lambda picture: output
    return _in_turn(output)


def _numbered(folder: Path) -> Name:
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file without a suffix; name a folder, or a file such as {folder}.png.")

    def name(picture: Picture) -> Path:
        return folder / f"{_next_number(folder):05d}-{picture.seed}.png"

    return name


def _next_number(folder: Path) -> int:
    names = folder.iterdir() if folder.is_dir() else ()
    numbers = [int(match[1]) for path in names if (match := _NUMBERED.match(path.name))]
    return max(numbers, default=0) + 1


def _in_turn(output: Path) -> Name:
    made = 0

    def name(picture: Picture) -> Path:
        nonlocal made
        made += 1
        return output.with_stem(f"{output.stem}-{made}")

    return name
