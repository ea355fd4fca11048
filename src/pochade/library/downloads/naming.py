"""Give a complete file its name: at once, and never over another one."""

import os
import shutil
from pathlib import Path

from pochade.errors import FileError
from pochade.library.downloads.names import free_name
from pochade.library.downloads.part import check_room


def put(part: Path, target: Path, only: bool = False) -> Path:
    """Name a file or folder `target`, or with a number behind it if that is taken; returns what it is called.

    With `only` no other name will do. Another disk gets a copy, under the part's name until it is whole.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        near = _brought(part, target.parent)
        while True:
            path = target if only else free_name(target)
            if _named(near, path):
                return path
            if only:
                raise FileError(target, "is there by now; name another file with --to, or take that one away")
    except OSError as error:
        raise FileError(target, f"cannot be written: {error.strerror or error}; the download is {part}") from error


def _brought(part: Path, folder: Path) -> Path:
    """The part, on the disk of the folder that it is for."""
    if part.stat().st_dev == folder.stat().st_dev:
        return part
    size = sum(each.stat().st_size for each in (part, *part.rglob("*")) if each.is_file())
    check_room(folder, size, part.name)
    shutil.rmtree(folder / part.name, ignore_errors=True)  # of a try that was cut short
    return Path(shutil.move(part, folder / part.name))


def _named(part: Path, path: Path) -> bool:
    """Name a part; tells whether the name was free. A link cannot take the place of a file that came meanwhile."""
    if part.is_dir() or not _linked(part, path):
        if path.exists():
            return False
        os.rename(part, path)
    return True


def _linked(part: Path, path: Path) -> bool:
    try:
        os.link(part, path)
    except OSError:
        return False  # the name is taken, or the disk knows no links
    part.unlink()
    return True
