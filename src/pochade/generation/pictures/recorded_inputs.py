"""The pictures that a finished picture began with, found again: inside of it, beside it, or where the user says."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image

from pochade.errors import MissingFileError, UsageError
from pochade.generation.picture import Metadata
from pochade.generation.pictures.input_picture import open_picture
from pochade.generation.pictures.inputs import Inputs, pixel_hash
from pochade.generation.request import Request

OPTIONS = ("image", "mask", "depth")
"""What a user may give in place of what is recorded."""


@dataclass(frozen=True)
class Recorded:
    """One picture that a run began with: its name in `Inputs.named`, its file's name and the hash of its pixels."""

    name: str
    file: str
    digest: str


@dataclass(frozen=True)
class Found:
    """The pictures that a request begins with, the request that names them, and what of them is not as recorded.

    `files` are those that the pictures were read from.
    """

    inputs: Inputs
    request: Request
    notes: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()


def find_inputs(
    request: Request, metadata: Metadata, given: Mapping[str, Path], began_with: tuple[str, ...] = ()
) -> Found:
    """The pictures that the request of a picture begins with.

    Those `given` come first, then those that its file keeps, then files of the recorded names beside it and in the
    current folder. `began_with` names further ones that are not recorded. Raises UsageError or MissingFileError,
    naming the picture that is wanted.
    """
    recorded = {each.name: each for each in _recorded(request)}
    for name in (*given, *began_with):
        if name not in recorded and name not in began_with and metadata.record:
            raise UsageError(f"The picture began without a picture for --{name}; leave that out.")
        if name not in recorded and name not in given:
            raise UsageError(f"The picture began with a picture that it only tells of; give it with --{name} FILE.")
    pictures = {name: open_picture(path) for name, path in given.items()}
    kept = {name: each for name, each in metadata.inputs.named().items() if name.split()[0] not in given}
    sought = [each for each in recorded.values() if each.name not in pictures | kept]
    files = {each.name: _sought(each, metadata.path.parent) for each in sought}
    pictures |= {name: image for name, (_, image) in files.items()}
    notes = [note for name, image in pictures.items() if (note := _note(recorded.get(name), image))]
    named: dict[str, Any] = {name: str(path) for name, path in given.items()}
    paths = (*given.values(), *(path for path, _ in files.values()))
    return Found(Inputs.of_named(pictures | kept), replace(request, **named), tuple(notes), paths)


def _recorded(request: Request) -> Iterator[Recorded]:
    every = [Recorded(name, getattr(request, name), getattr(request, f"{name}_hash")) for name in OPTIONS]
    for number, unit in enumerate(request.controls, 1):
        every.append(Recorded(f"control {number}", unit.image, unit.image_hash))
        every.append(Recorded(f"control {number} mask", unit.mask, ""))
    yield from (each for each in every if each.file or each.digest)


def _sought(recorded: Recorded, folder: Path) -> tuple[Path, Image.Image]:
    """The file of the recorded name, and its picture; of two, the one with the recorded pixels."""
    is_option = recorded.name in OPTIONS
    if not recorded.file:
        advice = f"give it with --{recorded.name} FILE" if is_option else "only one saved with --keep-inputs does"
        raise UsageError(
            f"The picture began with a picture in memory ({recorded.name}), which its file does not keep; {advice}."
        )
    paths = [path for path in (folder / recorded.file, Path(recorded.file)) if path.is_file()]
    if not paths:
        otherwise = f"put a file of this name beside it; a picture saved with --keep-inputs holds its {recorded.name}"
        advice = f"give it with --{recorded.name} FILE" if is_option else otherwise
        raise MissingFileError(
            recorded.file, f"the picture began with this file, which is neither beside it nor in this folder; {advice}."
        )
    found = [(path, open_picture(path)) for path in paths]
    return next((each for each in found if pixel_hash(each[1]) == recorded.digest), found[0])


def _note(recorded: Recorded | None, image: Image.Image) -> str:
    if recorded is None or recorded.digest in ("", pixel_hash(image)):
        return ""
    return (
        f"the picture began with another {recorded.name}, of pixels {recorded.digest}; those of this one are "
        f"{pixel_hash(image)}."
    )
