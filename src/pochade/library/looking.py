"""A look into the user's folders: which models are there, and what lies beside them, by names and marks alone."""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pochade import __version__
from pochade.library import sidecars
from pochade.library.find import PICTURES, models_by_folder
from pochade.library.hashes import Mark, mark_of
from pochade.library.places import Place, all_places

_NO_PICTURES = frozenset[str]()
_GONE: Mark = (-1, -1, -1)

Key = tuple[bytes, bytes]
"""The user's folder and the path in it: what tells one model from another."""
Account = tuple[bytes, bytes, str]
"""What a look shows of a model: its name, the file it leads to, and the marks of what lies beside it, with the version
of Pochade that reads it.
"""


@dataclass(frozen=True, slots=True)
class Found:
    """A model as a folder shows it, with the mark of its file, and what lies beside it in `folder` under its `stem`."""

    key: Key
    account: Account
    mark: Mark
    folder: str
    stem: str
    beside: tuple[str, ...]

    @property
    def path(self) -> Path:
        """Where it lies."""
        return Path(os.fsdecode(self.key[1]))

    @property
    def file(self) -> bytes:
        """Where that leads to in the end."""
        return self.account[1]


def looking(root: Path, refused: Callable[[OSError], object]) -> Iterator[Found]:
    """Yield every model in a folder of the user, each once; `refused` hears which folders cannot be listed."""
    seen: set[bytes] = set()
    for place in all_places(root):
        pictures = PICTURES.get(place.kind or "", _NO_PICTURES)
        for folder, models, names in models_by_folder(place.folder, pictures, refused):
            for found in _in_folder(root, place, str(folder), models, names):
                if found.key[1] not in seen:
                    seen.add(found.key[1])
                    yield found


def _in_folder(root: Path, place: Place, folder: str, models: Sequence[str], names: Sequence[str]) -> Iterator[Found]:
    if models == ["."]:
        file = os.path.realpath(folder)
        outer, stem = os.path.split(folder)
        yield _found(root, folder, place.name(folder), file, _mark_of_folder(file), stem, _present(_listed(outer)))
    elif models:
        real, start, present = os.path.realpath(folder), place.name(folder), _present(names)
        for model in _without_previews(models):
            path, stem = os.path.join(folder, model), os.path.splitext(model)[0]
            file = os.path.realpath(path) if os.path.islink(path) else os.path.join(real, model)
            yield _found(root, path, f"{start}/{stem}" if start else stem, file, _mark(file), stem, present)


def _without_previews(models: Sequence[str]) -> Iterator[str]:
    """All but pictures that have the name of another file: they show what that does."""
    pictures = {model for model in models if os.path.splitext(model)[1].lower() in PICTURES["embedding"]}
    stems = {os.path.splitext(model)[0] for model in models if model not in pictures}
    yield from (model for model in models if model not in pictures or os.path.splitext(model)[0] not in stems)


def _found(root: Path, path: str, name: str, file: str, mark: Mark, stem: str, present: Mapping[str, str]) -> Found:
    folder, own = os.path.split(path)
    beside = tuple(each for each in sidecars.beside(stem, present) if each != own)
    marks = json.dumps([__version__, *([each, *_mark(os.path.join(folder, each))] for each in beside)])
    account = os.fsencode(name), os.fsencode(file), marks
    return Found((os.fsencode(root), os.fsencode(path)), account, mark, folder, stem, beside)


def _present(names: Sequence[str]) -> dict[str, str]:
    """The names of files by how they are folded, and by themselves."""
    return {name.casefold(): name for name in names} | {name: name for name in names}


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []  # what lies beside a model is no condition for listing it


def _mark(path: str) -> Mark:
    """What tells that a file changed; a link that leads nowhere has a mark too."""
    try:
        return mark_of(os.stat(path))
    except OSError:
        return _GONE


def _mark_of_folder(folder: str) -> Mark:
    """The size of all files in it, and the time of the one that came last."""
    marks = [_mark(os.path.join(inner, name)) for inner, _, names in os.walk(folder) for name in names] or [_GONE]
    sizes, times, _ = zip(*marks, strict=True)
    return sum(sizes), max(times), _mark(folder)[2]
