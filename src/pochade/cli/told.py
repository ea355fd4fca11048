"""What a picture, a text beside it or a text that is piped in tells of how a picture was made."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pochade.errors import MalformedFileError

if TYPE_CHECKING:
    from pochade.generation.picture import Metadata

PIPED = Path("-")
_MOST_TEXT = 16_000_000


def metadata_of(path: Path) -> "Metadata":
    """What a file tells, be it a picture or a text with parameters; "-" is what is piped in."""
    from pochade.generation.picture import metadata_of_text, read_metadata  # deferred: the help needs no images

    if path == PIPED:
        return metadata_of_text(path, _text(sys.stdin.buffer.read(_MOST_TEXT)))
    try:
        return read_metadata(path)
    except MalformedFileError as error:
        with path.open("rb") as file:
            text = _text(file.read(_MOST_TEXT))
        found = metadata_of_text(path, text)
        if found.settings.program:
            return found
        raise error


def is_text(metadata: "Metadata") -> bool:
    """Whether it was a text, which has no pixels."""
    return metadata.format == "text"


def maker(metadata: "Metadata") -> str:
    """Who made a picture, for people: "drawn by ComfyUI"."""
    program = metadata.settings.program
    if metadata.record:
        return "drawn by Pochade"
    return f"drawn by {program}" if program else "not known by whom"


def heading(metadata: "Metadata") -> str:
    """A picture in one line for people."""
    if is_text(metadata):
        return f"{metadata.path}: text, {maker(metadata)}"
    width, height = metadata.size
    return f"{metadata.path}: {metadata.format}, {width}x{height}, {maker(metadata)}"


def _text(data: bytes) -> str:
    """Bytes as text; empty if they are none."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return ""
    return "" if "\0" in text else text.replace("\r\n", "\n")
