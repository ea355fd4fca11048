"""The database: shared by many processes, made anew when it is damaged or old, and honest where it cannot be kept."""

import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from pochade.errors import FileError
from pochade.library import database
from pochade.library.database import connected, mend

_WRITER = """
import sys
from pathlib import Path
from pochade.library import database
database.location = lambda: Path(sys.argv[1])
for number in range(20):
    with database.connected() as base:
        base.execute("INSERT INTO files (path) VALUES (?)", [f"{sys.argv[2]} {number}".encode()])
"""


def paths():
    with connected() as base:
        return [row[0] for row in base.execute("SELECT path FROM files")]


def insert(path):
    with connected() as base:
        base.execute("INSERT INTO files (path) VALUES (?)", [path])


def test_processes_write_at_the_same_time(home):
    words = [sys.executable, "-c", _WRITER, str(database.location())]
    writers = [subprocess.Popen([*words, str(number)]) for number in range(4)]
    assert [each.wait() for each in writers] == [0] * 4
    assert len(paths()) == 80


def test_work_that_fails_leaves_nothing(home):
    insert(b"kept")
    with pytest.raises(ZeroDivisionError), connected() as base:
        base.execute("INSERT INTO files (path) VALUES (?)", [b"lost"])
        raise ZeroDivisionError
    assert paths() == [b"kept"]


def test_another_form_is_thrown_away(home):
    insert(b"old")
    with connected() as base:
        base.execute("PRAGMA user_version = 99")
    assert paths() == []


def test_damage_inside_is_mended(home):
    rows = [(str(each).encode(), "x" * 900) for each in range(200)]
    with connected() as base:
        base.executemany("INSERT INTO files (path, facts) VALUES (?, ?)", rows)
    with closing(sqlite3.connect(database.location())) as base:
        base.execute("PRAGMA journal_mode = DELETE")
    with database.location().open("r+b") as file:
        file.seek(3 * 4096)
        file.write(b"\xff" * 4096 * 20)
    mend()
    assert paths() == []


def test_a_place_that_cannot_be_used_is_named(home):
    home.write_text("a file where the folder should be")
    with pytest.raises(FileError, match=r"library\.sqlite: what is known of models cannot be kept there"), connected():
        pass


def test_a_mistake_of_ours_is_no_damage(home):
    insert(b"kept")
    with pytest.raises(sqlite3.ProgrammingError), connected() as base:
        base.execute("INSERT INTO files (path) VALUES (?)", [])
    assert paths() == [b"kept"]


def test_damage_that_shows_up_late_is_told(home):
    insert(b"lost")
    error = sqlite3.DatabaseError("database disk image is malformed")
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    with pytest.raises(FileError, match="was damaged"), connected():
        raise error
    assert paths() == []
    assert database.location().is_file()
