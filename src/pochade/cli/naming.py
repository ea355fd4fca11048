"""Where pictures go: a file that the user named, or the next free number in a folder."""

import os
import re
from collections.abc import Callable
from datetime import date
from pathlib import Path

from pochade.errors import FileError, UsageError
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
    _check_folder(output.parent)
    if count == 1:
        return lambda picture: output
    return _in_turn(output)


def _numbered(folder: Path) -> Name:
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file without a suffix; name a folder, or a file such as {folder}.png.")
    _check_folder(folder)

    def name(picture: Picture) -> Path:
        return folder / f"{_next_number(folder):05d}-{picture.seed}.png"

    return name


def _check_folder(folder: Path) -> None:
    """See before the drawing begins that pictures can be saved there."""
    present = next(each for each in (folder, *folder.parents) if each.exists())
    if not present.is_dir():
        raise UsageError(f"{present} is a file, so no folder {folder} can be made; name another with -o.")
    if not os.access(present, os.W_OK):
        raise FileError(present, "nothing may be written into this folder; name another with -o.")


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
