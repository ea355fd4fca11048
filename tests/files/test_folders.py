"""Diffusers folders: whichever files a part's weights are in are found, and nothing outside the folder is read."""

import json
from pathlib import Path

import numpy as np
import pytest

from pochade import files
from pochade.errors import FileError, MalformedFileError, UsageError
from pochade.files import Weights
from pochade.files.saving import replacing_folder
from pochade.files.torch_zip_writing import saving_torch

ONES = {"a": np.ones(2, np.float32)}
TWOS = {"a": np.full(2, 2, np.float32)}


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "model"
    (path / "unet").mkdir(parents=True)
    write(path / "model_index.json", {"_class_name": "P", "unet": ["diffusers", "UNet2DConditionModel"]})
    write(path / "unet" / "config.json", {"in_channels": 4})
    return path


def write(path, table):
    path.write_text(table if isinstance(table, str) else json.dumps(table))


def pickled(path, arrays):
    list(saving_torch(path, Weights.from_arrays(arrays), {}))


def test_a_part_s_tensors_stand_behind_its_name(folder):
    files.save(folder / "unet" / "diffusion_pytorch_model.safetensors", ONES)
    weights = files.open(folder)
    assert weights.format == "diffusers"
    assert list(weights) == ["unet/a"]
    assert weights.extra["configs"]["unet"] == {"in_channels": 4}


@pytest.mark.parametrize(
    ("chosen", "other"),
    [
        ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin"),
        ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.fp16.safetensors"),
        ("diffusion_pytorch_model.bin", "diffusion_pytorch_model.fp16.safetensors"),
        ("diffusion_pytorch_model.fp16.safetensors", "diffusion_pytorch_model.non_ema.safetensors"),
        ("model.safetensors", "model.fp16.safetensors"),
        ("pytorch_model.bin", "flax_model.msgpack"),
    ],
)
def test_full_comes_before_half_and_safetensors_before_pickles(folder, chosen, other):
    for name, arrays in ((chosen, ONES), (other, TWOS)):
        (pickled if name.endswith(".bin") else files.save)(folder / "unet" / name, arrays)
    np.testing.assert_array_equal(files.open(folder)["unet/a"], ONES["a"])


@pytest.mark.parametrize("index", ["model.safetensors.index.json", "model.safetensors.index.fp16.json"])
def test_shards_are_one_part(folder, index):
    for number, name in enumerate("ab", 1):
        files.save(folder / "unet" / f"model-0000{number}-of-00002.safetensors", {name: ONES["a"] * number})
    table = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    write(folder / "unet" / index, {"weight_map": table})
    weights = files.open(folder)
    assert weights["unet/b"].tolist() == [2, 2]


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"weight_map": {"a": "../secret.safetensors"}}, "no file in its folder"),
        ({"weight_map": {"a": "/etc/passwd"}}, "no file in its folder"),
        ({"weight_map": {"a": ""}}, "no file in its folder"),
        ({"weight_map": {"a": ".."}}, "no file in its folder"),
        ({"weight_map": {"a": "gone.safetensors"}}, "no file in its folder"),
        ({"weight_map": {"b": "x.safetensors"}}, "does not hold it"),
        ({"weight_map": 3}, "no weight_map"),
        ({}, "no weight_map"),
        ("[", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("[]", "no table"),
    ],
)
def test_a_wrong_index_of_shards_is_explained(folder, table, words):
    files.save(folder / "unet" / "x.safetensors", ONES)
    files.save(folder / "secret.safetensors", ONES)
    write(folder / "unet" / "model.safetensors.index.json", table)
    with pytest.raises(MalformedFileError, match=words):
        files.open(folder)


@pytest.mark.parametrize("part", ["..", "../other", "/etc", "a/b"])
def test_an_index_cannot_name_other_folders(folder, part, tmp_path):
    (tmp_path / "other").mkdir()
    files.save(tmp_path / "other" / "model.safetensors", ONES)
    files.save(folder / "unet" / "model.safetensors", ONES)
    index = {"unet": ["diffusers", "UNet2DConditionModel"], part: ["diffusers", "X"], "requires_safety_checker": True}
    write(folder / "model_index.json", index)
    assert list(files.open(folder)) == ["unet/a"]


def test_a_part_s_folder_alone_keeps_its_names(folder):
    files.save(folder / "unet" / "diffusion_pytorch_model.safetensors", ONES)
    assert list(files.open(folder / "unet")) == ["a"]


def test_a_folder_that_is_no_model_says_what_is_looked_for(tmp_path, folder):
    with pytest.raises(MalformedFileError, match=r"without model_index.json.*name a model file"):
        files.open(tmp_path)
    with pytest.raises(MalformedFileError, match="none of them has a file of weights"):
        files.open(folder)


def test_a_folder_gets_its_name_when_it_is_whole(tmp_path):
    target = tmp_path / "model"
    with pytest.raises(ZeroDivisionError), replacing_folder(target) as room:
        (room / "unet").mkdir()
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []
    with replacing_folder(target) as room:
        (room / "unet").mkdir()
        assert not target.exists()
    assert [each.name for each in target.iterdir()] == ["unet"]
    assert [each.name for each in tmp_path.iterdir()] == ["model"]


def test_what_a_killed_writer_left_is_taken_away(tmp_path):
    with replacing_folder(tmp_path / "model") as room:
        left = room
    left.mkdir()
    (left / "half").write_text("x")
    (tmp_path / "model").rmdir()
    with replacing_folder(tmp_path / "model"):
        pass
    assert list((tmp_path / "model").iterdir()) == []
    assert not left.exists()


def test_a_folder_that_is_there_is_never_replaced(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine").write_text("x")
    with pytest.raises(UsageError, match="exists already"), replacing_folder(tmp_path / "model"):
        pass
    assert (tmp_path / "model" / "mine").read_text() == "x"


@pytest.mark.parametrize("method", ["iterdir", "read_text"])
def test_what_the_system_forbids_is_explained(folder, monkeypatch, method):
    def forbidden(self, **_):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, method, forbidden)
    with pytest.raises(FileError, match="cannot be read: Permission denied"):
        files.open(folder)
