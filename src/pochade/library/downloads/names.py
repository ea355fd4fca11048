"""Names for files that come from elsewhere: a server must not choose where or over what something is written."""

import re
import unicodedata
from itertools import count
from pathlib import Path, PurePosixPath

_FORBIDDEN = re.compile(r'[<>:"|?*]')  # on some systems
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)", re.IGNORECASE)  # devices of Windows
_MOST_BYTES = 180  # file systems have 255, and names of parts are longer


def safe_name(text: str, otherwise: str = "model") -> str:
    r"""The plain name of a file for what a server calls it: no folders, no control characters, no device, not too long.

    >>> safe_name("../../models\\con.ckpt")
    '_con.ckpt'
    """
    base = unicodedata.normalize("NFC", text).replace("\\", "/").rpartition("/")[2]
    printable = "".join(each for each in base if each.isprintable())
    name = _FORBIDDEN.sub("_", printable).lstrip(". ").rstrip(". ")
    name = f"_{name}" if _RESERVED.match(name) else name
    return _shortened(name) or otherwise


def _shortened(name: str) -> str:
    """A name of as many bytes as there is room for; its ending stays."""
    path = PurePosixPath(name)
    ending = path.suffix if len(path.suffix) < 20 else ""
    stem = name.removesuffix(ending)
    room = _MOST_BYTES - len(ending.encode())
    return stem.encode()[:room].decode(errors="ignore").rstrip(". ") + ending


def announced_name(disposition: str) -> str:
    """The name in a Content-Disposition header; empty without one."""
    from email.message import Message  # deferred: only plain addresses need it

    message = Message()
    message["content-disposition"] = disposition
    return message.get_filename() or ""


def free_name(path: Path) -> Path:
    """The path, or the next one with a number behind its stem that nothing bears yet, in any case of letters."""
    taken = {each.name.casefold() for each in path.parent.iterdir()} if path.parent.is_dir() else set()
    names = (f"{path.stem}-{number}{path.suffix}" if number > 1 else path.name for number in count(1))
    return path.with_name(next(name for name in names if name.casefold() not in taken))
