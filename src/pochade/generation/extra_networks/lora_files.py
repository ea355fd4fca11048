"""The LoRAs in folders of models, found by the names that prompts and pictures use for them."""

import os
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from pochade import files
from pochade.errors import FileError
from pochade.files.hashes import tensors_hash
from pochade.library.find import find_model, models_of

_DIGITS = 12  # of a hash, as A1111 shows it
_STATED = "sshs_model_hash"
_ALIAS = "ss_output_name"
_NO_ALIASES = {"", "none"}


class Listed(NamedTuple):
    """A LoRA's file, and its name: folders below the place that is searched, and the file's name with its suffix."""

    path: Path
    name: str

    @property
    def stem(self) -> str:
        """The name by which tags call it."""
        return self.path.stem

    @property
    def spellings(self) -> set[str]:
        """Names that people use for it, in small letters."""
        bare = self.name.removesuffix(self.path.suffix)
        return {each.casefold() for each in (self.name, bare, self.path.name, self.stem)}


class LoraFiles:
    """The LoRAs in folders of models, listed anew each time: people put files there while a program runs."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = tuple(folders)

    def find(self, name: str, digest: str = "") -> Path | None:
        """The LoRA that is called `name`, or else the one whose hash begins with `digest`; None if there is none.

        A name is a file's own, without its suffix; or what its trainer called it, if that is clear; or in any letters,
        with folders, with the suffix. Of several with one name it is the one with the hash, or the last, as in A1111.
        """
        listed = list(self._listed())
        for named in (self._by_stem, self._by_alias, self._by_spelling):
            if found := named(name, listed):
                same = (each for each in found if digest and _has_hash(each, digest))
                return next(same, found[-1]) if len(found) > 1 else found[0]
        return next((each.path for each in listed if digest and _has_hash(each.path, digest)), None)

    def path_of(self, name: str, digest: str = "") -> Path:
        """The same for a name that may be a path. Raises UsageError or MissingFileError where there is none."""
        if Path(name).is_file():
            return Path(name)
        return self.find(name, digest) or find_model(name, self._folders, "lora")

    def _listed(self) -> Iterator[Listed]:
        for place, path in models_of(self._folders, "lora"):
            if path.is_file():
                yield Listed(path, place.name(path))

    def _by_stem(self, name: str, listed: Sequence[Listed]) -> list[Path]:
        return [each.path for each in listed if each.stem == name]

    def _by_alias(self, name: str, listed: Sequence[Listed]) -> list[Path]:
        """Nothing where two trainers chose the same name."""
        if name.casefold() in _NO_ALIASES:
            return []
        found = [each.path for each in listed if facts_of(each.path).alias == name]
        return found if len(found) == 1 else []

    def _by_spelling(self, name: str, listed: Sequence[Listed]) -> list[Path]:
        wanted = name.replace("\\", "/").strip().casefold()
        return [each.path for each in listed if wanted in each.spellings]


class Facts(NamedTuple):
    """What the file of a LoRA tells of itself: what its trainer called it, and its hash."""

    alias: str = ""
    hash: str = ""


def lora_hash(path: Path) -> str:
    """The hash of a LoRA as A1111 shows it, 12 hex digits: that of its numbers alone, as the file states or counted."""
    return (facts_of(path).hash or _counted(path, state_of(path)))[:_DIGITS]


def facts_of(path: Path) -> Facts:
    """What the file tells; nothing where it is broken."""
    return _facts(path, state_of(path))


def _has_hash(path: Path, digest: str) -> bool:
    return lora_hash(path).startswith(digest[:_DIGITS].lower())


def state_of(path: Path) -> tuple[int, int]:
    """Size and time of a file: what was read of it holds as long as these stay."""
    state = os.stat(path)
    return state.st_size, state.st_mtime_ns


@lru_cache(maxsize=4096)
def _facts(path: Path, state: tuple[int, int]) -> Facts:
    try:
        metadata = files.open(path).metadata
    except FileError:
        return Facts()
    return Facts(metadata.get(_ALIAS, ""), metadata.get(_STATED, "").lower())


@lru_cache(maxsize=4096)
def _counted(path: Path, state: tuple[int, int]) -> str:
    return tensors_hash(path)
