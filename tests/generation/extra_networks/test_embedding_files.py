"""Embeddings in folders: what they are called, what is passed over, and that listing them reads none."""

import base64
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pochade import files
from pochade.errors import MalformedFileError, UnsafeFileError
from pochade.generation.extra_networks import embedding_files
from pochade.generation.extra_networks.embedding_files import EmbeddingFiles
from pochade.library import short_hash

PICTURES = json.loads((Path(__file__).parents[2] / "vectors/webui/ti_images.json").read_text())["cases"]
PICTURES = [case for case in PICTURES if case["expected"]]


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "embeddings"
    place.mkdir()
    return place


def found(folder):
    return EmbeddingFiles([folder.parent])


def save(path, count=2, width=8):
    return files.save(path, {"emb_params": np.ones((count, width), np.float32)})


def test_every_kind_of_file_is_named_by_its_stem(folder):
    (folder / "deep").mkdir()
    save(folder / "One.safetensors")
    torch.save({"<token>": torch.ones(8)}, folder / "two.bin")
    torch.save({"string_to_param": {"*": torch.ones(3, 8)}, "name": "other"}, folder / "deep" / "three.v2.pt")
    shelf = found(folder)
    listed = shelf.listed()
    assert set(listed) == {"One", "two", "three.v2"}
    assert {name: shelf.read(name, file).count for name, file in listed.items()} == {"One": 2, "two": 1, "three.v2": 3}


def test_what_is_no_embedding_is_passed_over(folder):
    for name in ("empty.pt", "notes.txt", "x.preview.png", "x.preview.pt"):
        (folder / name).write_bytes(b"" if name == "empty.pt" else b"x")
    Image.new("RGB", (8, 8), "white").save(folder / "photo.png")
    (folder / "large.pt").write_bytes(b"x")
    os.truncate(folder / "large.pt", 17 * 2**20)
    (folder / "gone.pt").symlink_to(folder / "nowhere.pt")
    assert found(folder).listed() == {}


@pytest.mark.parametrize("case", PICTURES, ids=lambda case: case["id"])
def test_a_picture_s_name_and_vectors_are_inside(case, folder):
    (folder / "file name.png").write_bytes(base64.b64decode(case["png_base64"]))
    (name,) = (listed := found(folder).listed())
    assert name == case["expected"]["name"]
    (vectors,) = found(folder).read(name, listed[name]).vectors
    assert vectors.tolist() == [pytest.approx(row, abs=1e-6) for row in case["expected"]["string_to_param"]["*"]]


def test_a_webp_picture_is_read_too(folder):
    case = next(each for each in PICTURES if each["mode"] == "pixels")
    (folder / "x.png").write_bytes(base64.b64decode(case["png_base64"]))
    Image.open(folder / "x.png").save(folder / "x.webp", lossless=True)
    (folder / "x.png").unlink()
    assert set(found(folder).listed()) == {case["expected"]["name"]}


def test_listing_reads_no_file_but_lone_pictures_and_these_once(folder, monkeypatch):
    opened = []
    open_file = embedding_files.files.open
    monkeypatch.setattr(embedding_files.files, "open", lambda path: opened.append(path.name) or open_file(path))
    for name in ("a.safetensors", "b.safetensors"):
        save(folder / name)
    picture = base64.b64decode(PICTURES[0]["png_base64"])
    for name in ("a.png", "lone.png"):
        (folder / name).write_bytes(picture)
    shelf = found(folder)
    assert shelf.listed() == shelf.listed()
    assert opened == ["lone.png"]
    (folder / "lone.png").write_bytes(picture + b" ")
    shelf.listed()
    assert opened == ["lone.png"] * 2


def test_a_file_is_read_again_when_it_changes(folder):
    shelf = found(folder)
    save(folder / "word.safetensors", 1)
    first = shelf.read("word", shelf.listed()["word"])
    assert shelf.read("word", shelf.listed()["word"]) is first
    save(folder / "word.safetensors", 5)
    assert shelf.read("word", shelf.listed()["word"]).count == 5


def test_hashes_are_those_of_the_file(folder):
    path = save(folder / "word.safetensors")
    embedding = found(folder).read("word", found(folder).listed()["word"])
    assert len(embedding.digest) == 12
    assert embedding.digest.startswith(short_hash(path))


class Danger:
    def __reduce__(self):
        return os.system, ("true",)


def test_broken_and_unsafe_files_are_refused_when_they_are_read(folder):
    torch.save({"string_to_param": {"*": torch.ones(1, 8)}, "x": Danger()}, folder / "unsafe.pt")
    (folder / "broken.pt").write_bytes(b"x" * 100)
    files.save(folder / "nan.safetensors", {"emb_params": np.full((1, 8), np.nan, np.float32)})
    shelf = found(folder)
    for name, error in (("unsafe", UnsafeFileError), ("broken", MalformedFileError), ("nan", MalformedFileError)):
        with pytest.raises(error):
            shelf.read(name, shelf.listed()[name])


def test_no_folders_hold_nothing():
    assert EmbeddingFiles([]).listed() == {}
