"""Bring the index up to date: what is new or changed is examined, what has gone leaves; the rest costs a look."""

import os
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from pochade.events import Event, Made, Step, Warned
from pochade.library import database, index
from pochade.library.entries import Facts
from pochade.library.looking import Found, Key, looking
from pochade.library.sidecars import notes_in

Examine = Callable[[Sequence[Path]], Generator[Facts, None, None]]
"""Tells of files what their headers say, in their order."""

_KEPT_EVERY = 200  # files


@dataclass(frozen=True)
class Changes:
    """The paths of models that are new, have changed, or are gone since the last time."""

    added: tuple[Path, ...] = ()
    changed: tuple[Path, ...] = ()
    removed: tuple[Path, ...] = ()


def refreshing(roots: Sequence[Path], examine: Examine, settled: float = 0) -> Iterator[Event]:
    """Look into folders and write down what is there; yields Steps where files are examined, and Made with Changes.

    Files that were written to in the last `settled` seconds wait for the next time. It can be stopped after any event:
    what was examined is kept.
    """
    database.mend()
    refused: list[OSError] = []
    found = [each for root in roots for each in looking(root, refused.append)]
    for error in refused:
        yield Warned(f"{error.filename}: this folder cannot be listed: {error.strerror}.")
    known = index.known()
    gone = _gone(roots, found, known, [os.fsencode(os.path.join(error.filename, "")) for error in refused])
    found = [each for each in found if not _is_fresh(each, settled)]
    unknown = {each.file: each for each in found if known.marks.get(each.file) != each.mark}
    yield from _examining(list(unknown.values()), examine)
    news = [each for each in found if known.entries.get(each.key) != each.account]
    index.keep_notes((each, notes_in(each.folder, each.stem, each.beside)) for each in news)
    index.forget(gone)
    different = {each.key for each in news} | {each.key for each in found if each.file in unknown}
    yield Made(
        Changes(
            tuple(_path(key) for key in different if key not in known.entries),
            tuple(_path(key) for key in different if key in known.entries),
            tuple(map(_path, gone)),
        )
    )


def _examining(files: Sequence[Found], examine: Examine) -> Iterator[Event]:
    """Examine files; what was found out is written down from time to time, and at the end however it comes."""
    batch: list[tuple[Found, Facts]] = []
    with closing(examine([each.path for each in files])) as answers:
        try:
            for done, pair in enumerate(zip(files, answers, strict=True), 1):
                batch.append(pair)
                if len(batch) == _KEPT_EVERY:
                    index.keep_facts(batch)
                    batch.clear()
                yield Step(done, len(files), "files")
        finally:
            index.keep_facts(batch)


def _gone(roots: Sequence[Path], found: Sequence[Found], known: index.Known, refused: Sequence[bytes]) -> list[Key]:
    """Known entries that are not there any more; of a folder that cannot be listed now, nothing is known to be gone."""
    present, looked_into = {each.key for each in found}, {os.fsencode(root) for root in roots}
    missing = [key for key in known.entries if key[0] in looked_into and key not in present]
    return [key for key in missing if not any(key[1].startswith(folder) for folder in refused)]


def _is_fresh(found: Found, settled: float) -> bool:
    return 0 <= time.time() - found.mark[1] / 1e9 < settled


def _path(key: Key) -> Path:
    return Path(os.fsdecode(key[1]))
