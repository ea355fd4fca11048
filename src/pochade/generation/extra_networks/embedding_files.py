"""The embeddings in folders of models, known by name; a file is read when a prompt holds its name."""

import os
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from stat import S_ISREG
from typing import NamedTuple

from pochade import files
from pochade.errors import FileError
from pochade.generation.extra_networks.embeddings import Embedding
from pochade.library.find import PICTURES, models_of
from pochade.library.hashes import Mark, mark_of, sha256
from pochade.prompts import Tokenizer
from pochade.prompts.chunks import Names

_PICTURES = PICTURES["embedding"]
_LARGEST = 16 * 2**20  # bytes; whatever is larger is no embedding
_DIGITS = 12  # of the hash, as A1111 shows it
_KEPT = 64  # read for the next request


class File(NamedTuple):
    """A file in a certain state: what was read of it holds as long as its mark stays."""

    path: Path
    mark: Mark


class EmbeddingFiles:
    """The embeddings in folders of models, listed anew each time: people put files there while a program runs.

    A file's name is the word it stands for. Only what lies hidden in a picture has its name inside.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = tuple(folders)
        self._name_inside = lru_cache(maxsize=None)(_name_inside)
        self._spelled = lru_cache(maxsize=2)(Names)
        self._read = lru_cache(maxsize=_KEPT)(_read)

    def listed(self) -> dict[str, File]:
        """Every embedding by name; the first of several with one name. Raises UsageError for folders not there."""
        found: dict[str, File] = {}
        for name, file in self._named(list(self._files())):
            found.setdefault(name, file)
        return found

    def spelled(self, names: tuple[str, ...], tokenizer: Tokenizer) -> Names:
        """Names as tokens, kept for the next request."""
        return self._spelled(names, tokenizer)

    def read(self, name: str, file: File) -> Embedding:
        """One embedding. Raises FileError when its file is broken, unsafe or something else."""
        return self._read(name, file)

    def _files(self) -> Iterator[File]:
        for _, path in models_of(self._folders, "embedding"):
            try:
                state = os.stat(path)
            except OSError:
                continue  # it went while the others were listed
            if S_ISREG(state.st_mode) and 0 < state.st_size <= _LARGEST:
                yield File(path, mark_of(state))

    def _named(self, found: Sequence[File]) -> Iterator[tuple[str, File]]:
        """Each with its name. A picture beside a file of the same name is a preview of that."""
        plain = {each.path.with_suffix("") for each in found if each.path.suffix.lower() not in _PICTURES}
        for file in found:
            if file.path.suffix.lower() not in _PICTURES:
                yield file.path.stem, file
            elif file.path.with_suffix("") not in plain and (name := self._name_inside(file)):
                yield name, file


def _name_inside(file: File) -> str | None:
    """The name of the embedding in a picture; None in one that shows something else."""
    try:
        name = files.open(file.path).extra.get("name")
    except FileError:
        return None
    return name if isinstance(name, str) and name else file.path.stem


def _read(name: str, file: File) -> Embedding:
    return Embedding.of(name, files.open(file.path), sha256(file.path)[:_DIGITS])
