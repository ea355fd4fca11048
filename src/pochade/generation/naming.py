"""Where pictures go: a file that the user named, or the next free number in a folder."""

import os
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from functools import partial
from itertools import chain, count
from pathlib import Path

from pochade.errors import FileError, UsageError
from pochade.generation.picture import Picture, check_text, format_of
from pochade.generation.pictures.sizes import check_sides, enlarged
from pochade.generation.request import Request

_GRID = "grid"  # in place of a seed; always PNG, for a sheet may be larger than other formats allow
_NUMBERED = re.compile(r"(\d{5,})-")

Name = Callable[[Picture], Path]


def namer(output: Path | None, total: int, command: str, inputs: Iterable[Path | str] = ()) -> Name:
    """How to name each of so many pictures. Only a file that the user named is ever written over, and no input."""
    if output is None:
        return _numbered(_folder_of_the_day(command))
    if output.is_dir() or not output.suffix:
        return _numbered(output)
    format_of(output)  # an unknown format is refused before the drawing begins
    _check_folder(output.parent)
    if total == 1:
        check_apart(output, inputs)
        return lambda picture: output
    return _in_turn(output)


def namer_after_inputs(output: Path | None, command: str) -> Name:
    """How to name each picture after the one that it began with. No file is ever written over."""
    folder = output or _folder_of_the_day(command)
    if not folder.is_dir() and folder.suffix:
        raise UsageError(f"{folder} is one file for all pictures of a folder; name a folder with -o.")
    _check_folder(folder)

    def name(picture: Picture) -> Path:
        stem = Path(picture.request.image).stem if picture.request else _GRID
        names = (f"{stem}-{number}.png" if number else f"{stem}.png" for number in count())
        return next(folder / each for each in names if not (folder / each).exists())

    return name


def namer_of_larger(output: Path | None, images: Sequence[Path]) -> Callable[[Path], Path]:
    """How to name what is made of each file of some. Only a file that the user named is ever written over."""
    if output and output.suffix and not output.is_dir():
        _check_file(output, images)
        return lambda source: output
    if output and output.is_file():
        raise UsageError(f"{output} is a file without a suffix; name a folder, or a file such as {output}.png.")
    return partial(_free_in, output or _folder_of_the_day("upscale"))


def _check_file(output: Path, images: Sequence[Path]) -> None:
    """Refuse before the work what cannot be one picture's file. The picture itself is never changed."""
    format_of(output)
    if len(images) > 1:
        raise UsageError(f"{output} is one file for {len(images)} pictures; name a folder with -o.")
    check_apart(output, images)


def _free_in(folder: Path, source: Path) -> Path:
    """The first name in a folder that no file has: house.png, house-1.png..."""
    folder.mkdir(parents=True, exist_ok=True)  # so that a place that cannot be is told before the work
    names = (f"{source.stem}-{number}.png" if number else f"{source.stem}.png" for number in count())
    return next(folder / name for name in names if not (folder / name).exists())


def check_apart(output: Path, inputs: Iterable[Path | str]) -> None:
    """Refuse before the work a file that is one of the pictures it begins with, by whatever name."""
    if output.exists() and any(Path(each).exists() and output.samefile(each) for each in inputs):
        raise UsageError(
            f"{output} is a picture that this begins with, which is never changed; name another file with -o."
        )


def check_holding(output: Path | None, requests: Iterable[Request], keep_inputs: bool) -> None:
    """See before the drawing begins that a file which the user named can hold all that is to go into it."""
    if output is None or not output.suffix or output.is_dir():
        return
    name = format_of(output)
    if keep_inputs and name != "PNG":
        raise UsageError(f"{output.name}: only PNG files hold the pictures that a picture began with; save as .png.")
    for request in requests:
        check_text(request, name)
        if request.width and request.height:
            larger = enlarged(request)
            check_sides(larger.size if larger else (request.width, request.height), name)


def new_folder(command: str) -> Path:
    """A numbered folder that is not there yet, for what belongs together."""
    day = _folder_of_the_day(command)
    return next(folder for number in count(1) if not (folder := day / f"{number:05d}").exists())


def _folder_of_the_day(command: str) -> Path:
    return Path("outputs", command, date.today().isoformat())


def _numbered(folder: Path) -> Name:
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file without a suffix; name a folder, or a file such as {folder}.png.")
    _check_folder(folder)

    def name(picture: Picture) -> Path:
        return folder / f"{_next_number(folder):05d}-{_GRID if picture.seed is None else picture.seed}.png"

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
    """Numbers behind the name that the user gave; files that have such names already are left as they are."""
    pictures = (output.with_stem(f"{output.stem}-{number}") for number in count(1))
    others = (output.with_name(f"{output.stem}-{_GRID}-{number}.png") for number in count(2))
    grids = chain([output.with_name(f"{output.stem}-{_GRID}.png")], others)
    return lambda picture: next(each for each in (pictures if picture.request else grids) if not each.exists())
