"""What Pochade remembers of model files between runs, in a database in its own cache folder; all of it can be lost."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from platformdirs import user_cache_path

from pochade.errors import FileError, ResourceError

_FORM = 1
"""Goes up when the tables change; what other forms hold is thrown away."""
_PATIENCE = 30  # seconds to wait for another process
_TABLES = """
CREATE TABLE files (
    path BLOB PRIMARY KEY, size INTEGER, time INTEGER, number INTEGER,
    examined TEXT, facts TEXT, sha256 TEXT, sample TEXT
);
CREATE TABLE entries (
    root BLOB, path BLOB, name BLOB, file BLOB, beside TEXT, notes TEXT, PRIMARY KEY (root, path)
);
"""
_FILES_BESIDE = ("-wal", "-shm")


def location() -> Path:
    """Where the database lies."""
    return user_cache_path("pochade", appauthor=False) / "library.sqlite"


@contextmanager
def connected() -> Iterator[sqlite3.Connection]:
    """Open the database for a piece of work, which is kept whole or not at all; it is made anew if it is damaged.

    Raises FileError when it cannot be used.
    """
    path = location()
    try:
        with closing(_opened(path)) as connection, connection:
            yield connection
    except sqlite3.DatabaseError as error:
        if _is_damage(error):
            _discard(path)
            raise FileError(path, f"was damaged ({error}) and is gone now; do it again, and it is made anew") from error
        if _code(error) == sqlite3.SQLITE_FULL:
            raise ResourceError(f"{path}: the disk is full; what is known of models cannot be kept") from error
        if not isinstance(error, sqlite3.OperationalError):
            raise
        raise FileError(path, f"what is known of models cannot be kept there: {error}") from error


def mend() -> None:
    """Throw the database away if any of it is damaged."""
    with connected() as connection:
        is_sound = connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",)
    if not is_sound:
        _discard(location())


def _opened(path: Path) -> sqlite3.Connection:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(path, f"what is known of models cannot be kept there: {error.strerror or error}") from error
    try:
        return _prepared(path)
    except sqlite3.DatabaseError as error:
        if not _is_damage(error):
            raise
    _discard(path)
    return _prepared(path)


def _prepared(path: Path) -> sqlite3.Connection:
    """Open the file and see that its tables have the present form."""
    connection = sqlite3.connect(path, timeout=_PATIENCE)
    try:
        if connection.execute("PRAGMA user_version").fetchone() != (_FORM,):
            with suppress(sqlite3.OperationalError):  # another process may be just doing it
                connection.execute("PRAGMA journal_mode = WAL")
            _make_tables(connection)
        connection.execute("PRAGMA synchronous = NORMAL")  # what the last second knew may go with the power
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    return _code(error) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _code(error: sqlite3.DatabaseError) -> int:
    """SQLite's number for an error; 0 where it is one of Python's own."""
    return getattr(error, "sqlite_errorcode", 0)


def _make_tables(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    if connection.execute("PRAGMA user_version").fetchone() != (_FORM,):  # another process may have been faster
        for name in ("files", "entries"):
            connection.execute(f"DROP TABLE IF EXISTS {name}")
        for statement in filter(str.strip, _TABLES.split(";")):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {_FORM}")
    connection.commit()


def _discard(path: Path) -> None:
    for each in (path, *(path.with_name(path.name + ending) for ending in _FILES_BESIDE)):
        each.unlink(missing_ok=True)
