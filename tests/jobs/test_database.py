import os
import shutil
import sqlite3
import sys
import threading

import pytest

from pochade.errors import FileError, ResourceError
from pochade.jobs.queue import Queue
from tests.jobs.pretend import VERBS


@pytest.fixture
def file(queue):
    """The database's file, with a job in it and nobody using it."""
    queue.add("count", {"steps": 1})
    queue.close()
    return queue.places.database


def test_what_was_added_is_there_for_another_process(file, queue):
    assert [job.record for job in queue.jobs()] == [{"steps": 1}]


def test_a_file_of_other_things_is_moved_aside_and_told(file, queue):
    file.write_bytes(b"this is no database" * 100)
    assert queue.add("count", {}).id == 1
    assert "The queue was damaged" in queue.notes[0]
    assert (file.parent / "jobs-damaged-1.sqlite").read_bytes().startswith(b"this is no database")
    queue.close()
    file.write_bytes(b"nor this" * 100)
    assert queue.jobs() == []
    assert (file.parent / "jobs-damaged-2.sqlite").exists()


def test_damage_inside_is_told_and_the_next_try_works(file, queue):
    for _ in range(60):
        queue.add("count", {"words": "x" * 200})
    queue.close()
    data = bytearray(file.read_bytes())
    data[4096:] = os.urandom(len(data) - 4096)
    file.write_bytes(data)
    with pytest.raises(FileError, match="damaged"):
        queue.jobs()
    assert queue.jobs() == []
    assert queue.add("count", {}).state == "queued"


def test_a_queue_whose_file_was_replaced_goes_on_with_the_new_one(queue):
    number = queue.add("count", {}).change
    queue.add("count", {})
    shutil.rmtree(queue.places.folder)
    assert queue.jobs() == []
    job = queue.add("count", {"steps": 7})
    assert [each.record for each in queue.changes(number + 1)[1]] == [{"steps": 7}]
    assert queue.get(job.id).record == {"steps": 7}


def test_a_newer_form_is_left_alone(file, queue):
    with sqlite3.connect(file) as base:
        base.execute("PRAGMA user_version = 99")
    base.close()
    with pytest.raises(FileError, match="form 99, and this Pochade reads forms up to 1: update Pochade"):
        queue.jobs()
    assert not list(file.parent.glob("*damaged*"))


def test_many_open_a_new_queue_at_once(folder):
    queues = [Queue(folder, VERBS) for _ in range(8)]
    threads = [threading.Thread(target=each.add, args=("count", {})) for each in queues]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(queues[0].jobs()) == 8
    for each in queues:
        each.close()


def test_a_busy_file_is_told_after_a_while(file, queue, monkeypatch):
    monkeypatch.setattr("pochade.jobs.database._PATIENCE", 0.05)
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(FileError, match="cannot be used now: database is locked"):
        queue.add("count", {})
    assert len(queue.jobs()) == 1
    other.close()
    assert queue.add("count", {}).id == 2


def test_a_full_disk_is_told(file, queue):
    with queue.database.at_work() as base:
        (pages,) = base.execute("PRAGMA page_count").fetchone()
        base.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(ResourceError, match="the disk is full"):
        queue.add("count", {"words": "x" * 100_000})
    assert queue.add("count", {"words": "x" * 100_000}).id == 2  # the connection was made anew


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="nothing is forbidden here")
def test_a_folder_that_may_not_be_written_is_told(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(FileError, match="cannot be kept there"):
        Queue(tmp_path / "data").jobs()


def test_a_place_that_is_a_file_is_told(tmp_path):
    (tmp_path / "data").touch()
    with pytest.raises(FileError, match="the queue cannot be kept there"):
        Queue(tmp_path / "data").jobs()


def test_a_failure_in_the_middle_changes_nothing(queue):
    with pytest.raises(ZeroDivisionError), queue.database.at_work() as base:
        base.execute("UPDATE facts SET value = 99 WHERE name = 'change'")
        raise ZeroDivisionError
    assert queue.changes(0)[0] == 0
