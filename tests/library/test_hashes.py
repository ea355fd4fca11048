"""Hashes: right, remembered, and never in the way."""

import hashlib
import os

import pytest

from pochade.events import Made, Step, Warned
from pochade.library import hashes
from pochade.library.hashes import hashing, remembered, remembered_of, sha256, short_hash


def digest(data):
    return hashlib.sha256(data).hexdigest()


def file_of(path, data=b"one"):
    path.write_bytes(data)
    return path


def test_a_hash_is_remembered_until_the_file_changes(home, tmp_path, monkeypatch):
    model = file_of(tmp_path / "a.safetensors")
    assert remembered(model) is None
    assert short_hash(model) == digest(b"one")[:10]
    with monkeypatch.context() as patch:
        patch.setattr(hashlib, "file_digest", lambda *_: pytest.fail("it was read again"))
        assert short_hash(model) == digest(b"one")[:10]
        assert remembered(model) == digest(b"one")
    model.write_bytes(b"other")
    assert remembered(model) is None
    assert sha256(model) == digest(b"other")
    assert remembered(model) == digest(b"other")


def test_a_file_in_the_place_of_another_is_another(home, tmp_path):
    model, other = file_of(tmp_path / "a", b"one"), file_of(tmp_path / "b", b"two")
    sha256(model)
    os.utime(other, ns=(model.stat().st_atime_ns, model.stat().st_mtime_ns))
    other.replace(model)
    assert sha256(model) == digest(b"two")


def test_every_name_of_a_file_tells_its_hash(home, tmp_path):
    model, other = file_of(tmp_path / "a"), file_of(tmp_path / "b", b"two")
    (tmp_path / "link").symlink_to(model)
    sha256(model)
    assert remembered_of([tmp_path / "link", other]) == {tmp_path / "link": digest(b"one")}


def test_a_cache_that_cannot_be_kept_only_costs_time(home, tmp_path):
    model = file_of(tmp_path / "a.safetensors")
    home.write_text("a file where the folder should be")
    assert short_hash(model) == digest(b"one")[:10]


@pytest.mark.parametrize("damage", [b"", b"no database" * 1000, b"SQLite format 3\x00" + bytes(5000)])
def test_a_damaged_cache_is_made_anew(home, tmp_path, damage):
    model, base = file_of(tmp_path / "a.safetensors"), home / "cache" / "library.sqlite"
    base.parent.mkdir(parents=True)
    base.write_bytes(damage)
    assert sha256(model) == digest(b"one")
    assert remembered(model) == digest(b"one")


def test_a_folder_has_no_hash(home, tmp_path):
    assert short_hash(tmp_path) == ""


def test_hashing_reads_what_has_no_hash_yet(home, tmp_path, monkeypatch):
    monkeypatch.setattr(hashes, "_BLOCK", 1_000_000)
    known, new = file_of(tmp_path / "known"), file_of(tmp_path / "new", bytes(2_500_000))
    sha256(known)
    events = list(hashing([known, new, tmp_path, tmp_path / "none"]))
    assert events == [Step(1, 3, "MB"), Step(2, 3, "MB"), Step(3, 3, "MB"), Made(new)]
    assert remembered(new) == digest(bytes(2_500_000))
    assert list(hashing([known, new])) == []


def test_hashing_can_be_stopped_and_goes_on(home, tmp_path):
    files = [file_of(tmp_path / str(number), bytes([number])) for number in range(3)]
    events = hashing(files)
    assert Made(files[0]) in (next(events), next(events))
    events.close()
    assert set(remembered_of(files)) == {files[0]}
    assert [each.result for each in hashing(files) if isinstance(each, Made)] == files[1:]


def test_what_cannot_be_read_is_told_and_the_rest_goes_on(home, tmp_path, monkeypatch):
    files = [file_of(tmp_path / "a"), file_of(tmp_path / "b")]
    hashed = hashes._hashed

    def refused(path):
        if path == files[0]:
            raise PermissionError(13, "Permission denied")
        return hashed(path)

    monkeypatch.setattr(hashes, "_hashed", refused)
    first, *_, last = hashing(files)
    assert first == Warned(f"{files[0]}: cannot be read: Permission denied")
    assert last == Made(files[1])


def test_a_hash_is_not_kept_of_a_file_that_changes_meanwhile(home, tmp_path):
    model = file_of(tmp_path / "a", bytes(10))
    events = hashing([model])
    next(events)
    model.write_bytes(b"changed")
    list(events)
    assert remembered(model) is None
