"""The index of the library: the rows of the database as entries, and what a look at the folders changes in them."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pochade import __version__
from pochade.library.database import connected
from pochade.library.entries import Entry, Facts, Notes, packed, unpacked
from pochade.library.hashes import Mark
from pochade.library.looking import Account, Found, Key

_ENTRIES = """
SELECT entries.path, root, name, file, size, facts, notes, sha256
FROM entries JOIN files ON files.path = entries.file WHERE root = ? AND facts IS NOT NULL
"""


@dataclass(frozen=True)
class Known:
    """What the index knows before a look: the marks of examined files, and of entries what a look showed of them."""

    marks: Mapping[bytes, Mark]
    entries: Mapping[Key, Account]


def known() -> Known:
    """Everything that is known, but files that another version of Pochade examined."""
    with connected() as base:
        files = base.execute("SELECT path, size, time, number FROM files WHERE examined = ?", [__version__])
        marks = {row[0]: (row[1], row[2], row[3]) for row in files}
        rows = base.execute("SELECT root, path, name, file, beside FROM entries")
        return Known(marks, {(row[0], row[1]): (row[2], row[3], row[4]) for row in rows})


def entries(roots: Iterable[Path]) -> list[Entry]:
    """The entries of some folders, in the order of their names in each; a path that lies in several is there once."""
    found: dict[Path, Entry] = {}
    with connected() as base:
        for root in roots:
            rows = base.execute(_ENTRIES, [os.fsencode(root)]).fetchall()
            for entry in sorted(filter(None, map(_entry, rows)), key=lambda each: (each.name.casefold(), each.path)):
                found.setdefault(entry.path, entry)
    return list(found.values())


def _entry(row: tuple[bytes, bytes, bytes, bytes, int, str, str, str | None]) -> Entry | None:
    path, root, name, file = map(os.fsdecode, row[:4])
    size, facts, notes, sha256 = row[4:]
    told = unpacked(Facts, facts)
    if not told.is_model:
        return None
    return Entry(Path(path), Path(root), name, Path(file), max(size, 0), told, unpacked(Notes, notes), sha256)


def keep_facts(examined: Iterable[tuple[Found, Facts]]) -> None:
    """Write down what was found out about files."""
    with connected() as base:
        for found, facts in examined:
            base.execute(
                "DELETE FROM files WHERE path = ? AND (size, time, number) != (?, ?, ?)", [found.file, *found.mark]
            )
            base.execute(
                "INSERT INTO files (path, size, time, number, examined, facts) VALUES (?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (path) DO UPDATE SET examined = excluded.examined, facts = excluded.facts",
                [found.file, *found.mark, __version__, packed(facts)],
            )


def keep_notes(noted: Iterable[tuple[Found, Notes]]) -> None:
    """Write down entries with what lies beside them."""
    rows = [(*found.key, *found.account, packed(notes)) for found, notes in noted]
    with connected() as base:
        base.executemany("REPLACE INTO entries (root, path, name, file, beside, notes) VALUES (?, ?, ?, ?, ?, ?)", rows)


def forget(keys: Sequence[Key]) -> None:
    """Take out entries by root and path, and of their files those that are gone."""
    with connected() as base:
        for each in keys:
            row = base.execute("SELECT file FROM entries WHERE root = ? AND path = ?", each).fetchone()
            base.execute("DELETE FROM entries WHERE root = ? AND path = ?", each)
            if row and not os.path.lexists(row[0]):
                base.execute("DELETE FROM files WHERE path = ?", row)


def samples(entries: Sequence[Entry]) -> dict[Path, str]:
    """What is known of the weights of some models, from an earlier look at some of their numbers."""
    with connected() as base:
        rows = base.execute("SELECT path, sample FROM files WHERE sample IS NOT NULL")
        known = {os.fsdecode(row[0]): row[1] for row in rows}
    return {entry.path: known[file] for entry in entries if (file := str(entry.file)) in known}


def keep_sample(entry: Entry, sample: str) -> None:
    """Write down what a look at some numbers of a model showed."""
    with connected() as base:
        base.execute("UPDATE files SET sample = ? WHERE path = ?", [sample, os.fsencode(entry.file)])
