"""The user's collection of models as a whole: kept in the index, searched, completed and watched."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pochade.errors import UsageError
from pochade.events import Event, Made
from pochade.library import adopted, index
from pochade.library.completion import Completer
from pochade.library.duplicates import duplicating
from pochade.library.entries import Entry
from pochade.library.hashes import hashing
from pochade.library.refreshing import Changes, refreshing
from pochade.library.search import query
from pochade.library.watching import watching
from pochade.operations.examining import examining


@dataclass(frozen=True)
class Library:
    """The models in some folders. `absent` are adopted ones that are not there now, on a disk that is away."""

    roots: tuple[Path, ...]
    absent: tuple[Path, ...] = ()

    @classmethod
    def of(cls, folders: Sequence[Path | str] = ()) -> "Library":
        """The models in the folders that are named, else in the adopted ones.

        Raises UsageError where a named one is not there, or there are none at all.
        """
        named = [Path(folder).expanduser() for folder in folders]
        for folder in named:
            if not folder.is_dir():
                raise UsageError(f"{folder}: there is no such models folder; check --models and POCHADE_MODELS.")
        chosen = list(dict.fromkeys(folder.resolve() for folder in adopted.chosen(named)))
        if not chosen:
            raise UsageError("There is no folder of models: name one with --models DIR, or keep one with --adopt DIR.")
        present = tuple(folder for folder in chosen if folder.is_dir())
        return cls(present, tuple(folder for folder in chosen if folder not in present))

    def refreshing(self) -> Iterator[Event]:
        """Bring the index up to date; yields Steps where files are examined, and Made with the Changes."""
        return refreshing(self.roots, examining)

    def refresh(self) -> Changes:
        """The same at once; returns what changed."""
        changes: Changes = [event.result for event in self.refreshing() if isinstance(event, Made)][-1]
        return changes

    def watching(self, pause: float = 2.0) -> Iterator[Event]:
        """Bring the index up to date again and again, without end; yields Made with Changes when there are some."""
        return watching(self.roots, examining, pause=pause)

    def entries(self) -> list[Entry]:
        """All models that the index knows."""
        return index.entries(self.roots)

    def search(self, text: str) -> list[Entry]:
        """The models that a query such as `base:sdxl kind:lora fox` finds. Raises UsageError for a wrong one."""
        return query(text).among(self.entries())

    def completer(self) -> Completer:
        """What completes prompts by the names and words of all models."""
        return Completer.of(self.entries())

    def hashing(self, entries: Sequence[Entry]) -> Iterator[Event]:
        """Compute the hashes of models that have none; it can be stopped, and what was finished stays."""
        return hashing([each.path for each in entries])

    def duplicating(self, entries: Sequence[Entry], exact: bool = False) -> Iterator[Event]:
        """Look for models with the same weights; yields Made with those that belong together."""
        return duplicating(entries, exact)
