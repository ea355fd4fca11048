"""The folders of models that the user has made known once and for all. Nothing is ever written into them."""

import json
from collections.abc import Sequence
from pathlib import Path

from platformdirs import user_config_path

from pochade.errors import MalformedFileError, UsageError
from pochade.files.mapped import reading
from pochade.files.saving import replacing

_CURE = "mend it, or delete it and adopt the folders anew"


def location() -> Path:
    """Where their names are kept."""
    return user_config_path("pochade", appauthor=False) / "folders.json"


def adopted() -> tuple[Path, ...]:
    """The folders, in the order in which they were adopted. Raises MalformedFileError when their list is damaged."""
    path = location()
    if not path.is_file():
        return ()
    try:
        with reading(path):
            found = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise MalformedFileError(path, f"is no JSON ({error}); {_CURE}") from error
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise MalformedFileError(path, f"is no list of folders; {_CURE}")
    return tuple(map(Path, found))


def adopt(folder: Path) -> Path:
    """Keep a folder in mind; return it as it is kept. Raises UsageError when there is none of this name."""
    if not folder.is_dir():
        raise UsageError(f"{folder}: there is no such folder to adopt.")
    path, known = folder.resolve(), adopted()
    if path not in known:
        _keep([*known, path])
    return path


def forget(folder: Path) -> Path:
    """Keep a folder in mind no longer. Raises UsageError when it never was."""
    path, known = folder.resolve(), adopted()
    if path not in known:
        names = ", ".join(map(str, known)) or "none"
        raise UsageError(f"{folder}: this folder is not one of those adopted, which are {names}.")
    _keep([each for each in known if each != path])
    return path


def chosen(folders: Sequence[Path]) -> tuple[Path, ...]:
    """The folders that the user names, or where none is named, the adopted ones."""
    return tuple(folders) or adopted()


def _keep(folders: Sequence[Path]) -> None:
    path = location()
    text = (json.dumps(list(map(str, folders)), indent=2) + "\n").encode()
    with reading(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path, len(text)) as file:
        file.write(text)
