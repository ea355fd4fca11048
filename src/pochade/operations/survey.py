"""A library as a whole: what its checkpoints are, which files do not go with any of them, and which are copies."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pochade.errors import FileError, MalformedFileError
from pochade.events import Step
from pochade.families import Family
from pochade.library.copies import copies
from pochade.operations.findings import Problem
from pochade.operations.view import View

_BASES = {"checkpoint", "unet"}
PUT_ON_A_BASE = {"lora", "embedding", "hypernetwork", "controlnet"}
"""Kinds of file that work only with a checkpoint of their family."""


@dataclass(frozen=True)
class Survey:
    """The families of the checkpoints at hand, and for every copy the file that it repeats."""

    bases: tuple[Family, ...] = ()
    copies: Mapping[Path, Path] = field(default_factory=dict)

    def problems(self, view: View) -> Iterator[Problem]:
        """Yield what is wrong with a file beside the others."""
        family = view.family
        if family and self.bases and view.kind in PUT_ON_A_BASE and family not in self.bases:
            bases = " and ".join(base.title for base in self.bases)
            message = f"It is for {family.title}; the checkpoints at hand are {bases}."
            why = "Put on another model it does nothing, is refused, or spoils the picture."
            yield Problem("other-base", message, why, f"use it with a {family.title} model")
        if first := self.copies.get(view.path):
            why = "It only takes room on the disk."
            yield Problem("duplicate", f"It is the same as {first}, byte by byte.", why, "delete one of the two")


def surveying(paths: Sequence[Path], with_copies: bool) -> Generator[Step, None, Survey]:
    """Look at every file of a library; files that cannot be read are passed over. Yields a Step per file."""
    bases: dict[str, Family] = {}
    files = []
    for done, path in enumerate(paths, 1):
        try:
            view = View.of(path)
        except FileError:
            continue  # the examination tells of it
        if path.is_file():
            files.append(path)
        if view.kind in _BASES and view.family:
            bases[view.family.name] = view.family
        yield Step(done, len(paths), "files opened")
    return Survey(tuple(bases.values()), copies(files) if with_copies else {})


def beside(base: Path) -> Survey:
    """Return the survey of one checkpoint. Raises MalformedFileError when it is of no known family."""
    view = View.of(base)
    if view.kind not in _BASES or view.family is None:
        raise MalformedFileError(base, f"is no checkpoint of a known family, but {view.kind}")
    return Survey((view.family,))
