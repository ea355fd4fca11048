"""The database of the queue: one file that many processes and threads read and write at once."""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from threading import RLock

from pochade.errors import FileError, PochadeError, ResourceError
from pochade.jobs.locks import FileLock

_FORM = 1
"""Goes up when the tables change."""
_PATIENCE = 30  # seconds to wait for other processes
_PAUSE = 0.1  # seconds between two tries
_CURE = "update Pochade, or name another folder with POCHADE_DATA"
_NUMBERED = """
BEGIN
    UPDATE facts SET value = value + 1 WHERE name = 'change';
    UPDATE jobs SET change = (SELECT value FROM facts WHERE name = 'change') WHERE id = new.id;
END
"""
_TABLES = (
    """CREATE TABLE jobs (
        id INTEGER PRIMARY KEY AUTOINCREMENT, verb TEXT, lane TEXT, record TEXT, label TEXT, folder BLOB,
        state TEXT DEFAULT 'queued', priority INTEGER, place REAL, created REAL, started REAL, finished REAL,
        attempts INTEGER DEFAULT 0, progress TEXT DEFAULT '{}', warnings TEXT DEFAULT '[]', error TEXT DEFAULT '',
        exit_code INTEGER, worker TEXT DEFAULT '', wish TEXT DEFAULT '', change INTEGER DEFAULT 0
    )""",
    "CREATE INDEX jobs_in_order ON jobs (state, lane, priority DESC, place)",
    "CREATE INDEX jobs_changed ON jobs (change)",
    "CREATE TABLE results (job INTEGER, path BLOB, told TEXT, UNIQUE (job, path))",
    "CREATE TABLE facts (name TEXT PRIMARY KEY, value INTEGER)",
    "INSERT INTO facts VALUES ('change', 0), ('is_paused', 0)",
    "CREATE TABLE timings (model TEXT, device TEXT, dtype TEXT, sampler TEXT, work REAL, seconds REAL, "
    "capacity INTEGER)",
    f"CREATE TRIGGER job_added AFTER INSERT ON jobs {_NUMBERED}",
    "CREATE TRIGGER job_changed AFTER UPDATE OF record, state, priority, place, progress, warnings, wish ON jobs "
    + _NUMBERED,
    f"PRAGMA user_version = {_FORM}",
)
_BESIDE = ("", "-wal", "-shm")
_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_NO_ROOM = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)


class Database:
    """One file, made when it is needed. A damaged one is moved aside, and `notes` tell of it.

    Threads use it in turn; those that only look do not wait for those that write.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.notes: list[str] = []
        self._for_work = _Access(path, self.notes)
        self._for_looks = _Access(path, self.notes)

    @contextmanager
    def at_work(self, hasty: bool = False) -> Iterator[sqlite3.Connection]:
        """A piece of work, which is kept whole or not at all. What is `hasty` may be lost when the power fails.

        Raises FileError where the file cannot be used, ResourceError when the disk is full.
        """
        with self._for_work.turn() as connection:
            connection.execute(f"PRAGMA synchronous = {'NORMAL' if hasty else 'FULL'}")
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.rollback()
                raise
            connection.commit()

    @contextmanager
    def looking(self) -> Iterator[sqlite3.Connection]:
        """The same for what only reads."""
        with self._for_looks.turn() as connection:
            yield connection

    def close(self) -> None:
        """Let the file go; it is opened again when it is needed."""
        self._for_work.close()
        self._for_looks.close()


class _Access:
    """One connection, which threads use in turn."""

    def __init__(self, path: Path, notes: list[str]) -> None:
        self._path = path
        self._notes = notes
        self._turn = RLock()
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None

    @contextmanager
    def turn(self) -> Iterator[sqlite3.Connection]:
        """The connection for one thread; what goes wrong is told as Pochade tells it."""
        with self._turn:
            try:
                yield self._connected()
            except sqlite3.DatabaseError as error:
                self.close()
                raise self._explained(error) from error
            except OSError as error:
                raise FileError(self._path, f"the queue cannot be kept there: {error.strerror or error}") from error

    def close(self) -> None:
        """Let the file go."""
        with self._turn:
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    def _explained(self, error: sqlite3.DatabaseError) -> PochadeError:
        if _is_damage(error):
            told = self._move_aside() or "The queue was damaged."
            return FileError(self._path, f"{told} Do it once more.")
        if _code(error) in _NO_ROOM:
            return ResourceError(f"{self._path}: the disk is full, or fails; the queue cannot be kept: {error}")
        return FileError(self._path, f"the queue cannot be used now: {error}")

    def _connected(self) -> sqlite3.Connection:
        """The connection; a new one where the file was replaced by another meanwhile."""
        if self._connection is not None and self._file != _identity(self._path):
            self.close()
        if self._connection is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._connection = _opened(self._path)
            except sqlite3.DatabaseError as error:
                if not _is_damage(error):
                    raise
                self._move_aside()
                self._connection = _opened(self._path)
            self._file = _identity(self._path)
        return self._connection

    def _move_aside(self) -> str:
        """Give a damaged file another name, and tell of it; nothing where another process did so already."""
        self.close()
        lock = FileLock(self._path.with_suffix(".lock"))
        if not lock.acquire(_PATIENCE):
            return ""
        try:
            if not _is_damaged(self._path):
                return ""
            kept = _put_aside(self._path)
        finally:
            lock.release()
        told = f"The queue was damaged, and its jobs are lost; {kept} is what was left of it."
        self._notes.append(told)
        return told


def _put_aside(path: Path) -> Path:
    names = (path.with_name(f"{path.stem}-damaged-{number}.sqlite") for number in count(1))
    kept = next(name for name in names if not name.exists())
    for ending in _BESIDE:
        with suppress(FileNotFoundError):
            os.replace(f"{path}{ending}", f"{kept}{ending}")
    return kept


def _opened(path: Path) -> sqlite3.Connection:
    """Open the file and see that it has the tables."""
    connection = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)
    try:
        form = _form(connection)
        if form == 0:
            _use_log(connection)
            _make_tables(connection)
        elif form > _FORM:
            raise FileError(path, f"this queue has form {form}, and this Pochade reads forms up to {_FORM}: {_CURE}")
    except (sqlite3.Error, FileError):
        connection.close()
        raise
    return connection


def _form(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _use_log(connection: sqlite3.Connection) -> None:
    """Let readers and a writer work at once, where the disk can; another process may be just doing it."""
    for _ in range(round(_PATIENCE / _PAUSE)):
        with suppress(sqlite3.OperationalError):
            connection.execute("PRAGMA journal_mode = WAL")
            return
        time.sleep(_PAUSE)


def _make_tables(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    if _form(connection) == 0:  # another process may have been faster
        for statement in _TABLES:
            connection.execute(statement)
    connection.commit()


def _is_damaged(path: Path) -> bool:
    try:
        connection = sqlite3.connect(path, timeout=_PATIENCE)
        try:
            return bool(connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",))
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        return _is_damage(error)


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    return _code(error) in _DAMAGE


def _code(error: sqlite3.DatabaseError) -> int:
    """SQLite's number for a kind of error; 0 where it is one of Python's own."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _identity(path: Path) -> tuple[int, int] | None:
    """What tells a file from another one of its name."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino
