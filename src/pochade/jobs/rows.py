"""Jobs as rows of the database's tables."""

import json
import os
import sqlite3
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from pochade.errors import UsageError
from pochade.jobs.job import Job, Progress, State, UnknownJobError

_COLUMNS = (
    *("id", "verb", "label", "state", "priority", "place", "created", "started", "finished", "attempts"),
    *("error", "exit_code", "worker", "wish", "change"),
)
_SELECT = f"SELECT {', '.join(_COLUMNS)}, record, folder, progress, warnings FROM jobs"
_MOST_NUMBER = (1 << 63) - 1  # that the database can hold
_MOST_VALUES = 500  # in one statement
IN_ORDER = "priority DESC, place, id"
"""In what order jobs are done."""


def found(connection: sqlite3.Connection, rest: str, values: Sequence[object] = ()) -> list[Job]:
    """The jobs that the rest of a SELECT names."""
    rows = connection.execute(f"{_SELECT} {rest}", values).fetchall()
    results = _results(connection, [row[0] for row in rows])
    return [_job(row, results[row[0]]) for row in rows]


def one(connection: sqlite3.Connection, number: int) -> Job:
    """The job with a number. Raises UnknownJobError."""
    is_possible = 0 < number <= _MOST_NUMBER
    jobs = found(connection, "WHERE id = ? AND state != 'gone'", [number]) if is_possible else []
    if not jobs:
        raise UnknownJobError(number)
    return jobs[0]


def put(base: sqlite3.Connection, number: int, **values: object) -> None:
    """Change columns of a job."""
    if values:
        columns = ", ".join(f"{name} = ?" for name in values)
        base.execute(f"UPDATE jobs SET {columns} WHERE id = ?", [*values.values(), number])


def end(base: sqlite3.Connection, number: int, state: State, error: str = "", exit_code: int = 0) -> None:
    """Let a job have ended."""
    put(base, number, state=state, error=error, exit_code=exit_code, finished=time.time(), wish="", worker="")


def forget(base: sqlite3.Connection, number: int) -> None:
    """Leave of a job only that it is gone, for those who watch."""
    put(base, number, state="gone", record="{}", label="", warnings="[]", error="", progress="{}")
    base.execute("DELETE FROM results WHERE job = ?", [number])


def record_text(record: Mapping[str, Any]) -> str:
    """A record as it is kept. Raises UsageError for what is not plain values."""
    try:
        return json.dumps(dict(record), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"The record of a job must hold plain values only: {error}.") from error


def plain_text(values: list[str]) -> str:
    """Texts as they are kept."""
    return json.dumps(values)


def progress_text(progress: Progress) -> str:
    """Progress as it is kept."""
    return json.dumps(asdict(progress))


def keep_results(connection: sqlite3.Connection, number: int, results: Iterable[Mapping[str, Any]]) -> None:
    """Keep results of a job; one with the path of an earlier one takes its place."""
    connection.executemany(
        "INSERT INTO results VALUES (?, ?, ?) ON CONFLICT (job, path) DO UPDATE SET told = excluded.told",
        [(number, os.fsencode(each["path"]), json.dumps(each)) for each in results],
    )


def marks(values: Sequence[object]) -> str:
    """As many question marks as there are values."""
    return ", ".join("?" * len(values))


def _results(connection: sqlite3.Connection, numbers: list[int]) -> dict[int, list[Mapping[str, Any]]]:
    found: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for start in range(0, len(numbers), _MOST_VALUES):
        some = numbers[start : start + _MOST_VALUES]
        rows = connection.execute(f"SELECT job, told FROM results WHERE job IN ({marks(some)}) ORDER BY rowid", some)
        for number, told in rows:
            found[number].append(json.loads(told))
    return found


def _job(row: Sequence[Any], results: Sequence[Mapping[str, Any]]) -> Job:
    values = dict(zip(_COLUMNS, row, strict=False))
    record, folder, progress, warnings = row[len(_COLUMNS) :]
    return Job(
        **values,
        record=json.loads(record),
        folder=os.fsdecode(folder),
        progress=Progress(**json.loads(progress)),
        warnings=tuple(json.loads(warnings)),
        results=tuple(results),
    )
