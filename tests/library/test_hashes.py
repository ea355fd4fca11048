"""Short hashes: right, remembered, and never in the way."""

import hashlib

import pytest

from pochade.library import hashes
from pochade.library.hashes import short_hash


@pytest.fixture
def cache(tmp_path, monkeypatch):
    path = tmp_path / "cache" / "hashes.json"
    monkeypatch.setattr(hashes, "_cache", lambda: path)
    return path


def digest(data):
    return hashlib.sha256(data).hexdigest()[:10]


def test_a_hash_is_remembered_until_the_file_changes(cache, tmp_path, monkeypatch):
    model = tmp_path / "a.safetensors"
    model.write_bytes(b"one")
    assert short_hash(model) == digest(b"one")
    with monkeypatch.context() as patch:
        patch.setattr(hashlib, "file_digest", lambda *_: pytest.fail("it was read again"))
        assert short_hash(model) == digest(b"one")
    model.write_bytes(b"other")
    assert short_hash(model) == digest(b"other")


def test_a_cache_that_cannot_be_kept_only_costs_time(cache, tmp_path):
    model = tmp_path / "a.safetensors"
    model.write_bytes(b"one")
    cache.parent.write_text("a file where the folder should be")
    assert short_hash(model) == digest(b"one")


@pytest.mark.parametrize("damaged", ["[", "[" * 100_000, "[]", '{"MODEL": 5}', '{"MODEL": [5, 3, 3]}'])
def test_a_damaged_cache_is_forgotten(cache, tmp_path, damaged):
    model = tmp_path / "a.safetensors"
    model.write_bytes(b"one")
    cache.parent.mkdir()
    cache.write_text(damaged.replace("MODEL", str(model)))
    assert short_hash(model) == digest(b"one")
    assert short_hash(model) == digest(b"one")
