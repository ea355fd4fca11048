"""What headers tell of each kind of file, safely, and the same from other processes."""

import json
import pickle
import sys

import numpy as np
import pytest
from PIL import Image

from pochade import files
from pochade.files import Weights
from pochade.files.torch_zip_writing import saving_torch
from pochade.library.entries import BROKEN, Facts
from pochade.operations import examining
from pochade.operations.examining import examined
from pochade.operations.inspect import inspect

from ..families.manifests import narrow, shapes


class Harm:
    def __reduce__(self):
        return (eval, ("1",))


def saved(path, name, metadata=None):
    arrays = {key: np.ones(shape, np.float16) for key, shape in narrow(shapes(name), 4).items()}
    return files.save(path, arrays, metadata)


@pytest.fixture
def lora(tmp_path):
    metadata = {
        "modelspec.title": "A Fox",
        "modelspec.trigger_phrase": "red fox, vulpes",
        "modelspec.tags": "animal, red",
        "modelspec.description": "<p>a fox</p>",
        "ss_base_model_version": "sd_v1",
    }
    return saved(tmp_path / "fox.safetensors", "lora-kohya-sd15-r8", metadata)


def test_a_lora(lora):
    found = examined(lora)
    assert found == Facts(
        kind="lora",
        format="safetensors",
        family="sd1",
        algorithm="lora",
        rank=4,
        dtypes=("F16",),
        tensors=len(shapes("lora-kohya-sd15-r8")),
        parameters=found.parameters,
        title="A Fox",
        description="a fox",
        base="sd_v1",
        tags=("animal", "red"),
        trigger_words=("red fox", "vulpes"),
        says_words=True,
    )


@pytest.mark.parametrize("name", ["sd15.ldm", "sdxl-base.ldm", "vae-kl-f8.ldm", "controlnet-sd15.ldm", "lyco-ia3-sd15"])
def test_it_agrees_with_inspect(tmp_path, name):
    path = saved(tmp_path / "a.safetensors", name)
    report, found = inspect(path), examined(path)
    same = ("kind", "format", "family", "variant", "prediction")
    assert [getattr(found, each) for each in same] == [report[each] for each in same]
    assert set(found.problems) == {each["code"] for each in report["problems"]}
    assert (found.algorithm, found.rank) == (report.get("algorithm"), report.get("rank"))


def test_words_that_are_only_common_are_told_apart(tmp_path):
    tags = {"ss_tag_frequency": json.dumps({"a": {"fox": 10, "grass": 2}})}
    found = examined(saved(tmp_path / "a.safetensors", "lora-kohya-sd15-r8", tags))
    assert (found.trigger_words, found.says_words) == (("fox",), False)


def test_an_embedding_has_its_name_as_word(tmp_path):
    found = examined(files.save(tmp_path / "neg.safetensors", {"emb_params": np.ones((3, 768), np.float32)}))
    assert (found.kind, found.family, found.trigger_words, found.says_words) == ("embedding", "sd1", ("neg",), True)


def test_what_is_unsafe_or_broken_is_flagged(tmp_path, lora):
    (tmp_path / "evil.pt").write_bytes(pickle.dumps(Harm(), 2))
    (tmp_path / "cut.safetensors").write_bytes(lora.read_bytes()[:-10])
    (tmp_path / "text.ckpt").write_bytes(b"<html>")
    (tmp_path / "empty.pt").touch()
    (tmp_path / "link.pt").symlink_to("nowhere")
    list(saving_torch(tmp_path / "odd.safetensors", Weights.from_arrays({"a": np.ones(3, np.float32)}), {}))
    verdicts = {each.name: (examined(each).verdict, examined(each).problems) for each in tmp_path.iterdir()}
    assert verdicts == {
        "fox.safetensors": ("safe", ()),
        "evil.pt": ("malicious", ("unsafe-pickle",)),
        "cut.safetensors": (BROKEN, ("truncated",)),
        "text.ckpt": (BROKEN, ("unreadable",)),
        "empty.pt": (BROKEN, ("truncated",)),
        "link.pt": (BROKEN, ("missing",)),
        "odd.safetensors": ("suspicious", ("wrong-extension",)),
    }


def test_an_unsafe_file_in_a_diffusers_folder_is_found(tmp_path):
    (tmp_path / "model_index.json").write_text(json.dumps({"unet": ["diffusers", "UNet2DConditionModel"]}))
    (tmp_path / "unet").mkdir()
    (tmp_path / "unet" / "diffusion_pytorch_model.bin").write_bytes(pickle.dumps(Harm(), 2))
    assert examined(tmp_path).verdict == "malicious"


def test_a_picture_without_an_embedding_is_no_model(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    assert not examined(tmp_path / "a.png").is_model


def test_no_numbers_are_read_but_positions(tmp_path, monkeypatch):
    path = saved(tmp_path / "a.safetensors", "sd15.ldm")
    read = []
    whole = Weights.__getitem__
    monkeypatch.setattr(Weights, "__getitem__", lambda self, name: read.append(name) or whole(self, name))
    examined(path)
    assert all(name.endswith("position_ids") for name in read)


def test_files_with_the_same_tensors_are_examined_once(tmp_path, monkeypatch):
    metadata = [{"ss_network_module": "lora", "modelspec.title": title} for title in ("a", "b", "c")]
    metadata[2]["ss_network_module"] = "dylora"
    paths = [
        saved(tmp_path / f"{number}.safetensors", "lora-kohya-sd15-r8", each) for number, each in enumerate(metadata)
    ]
    paths += [saved(tmp_path / f"model {number}.safetensors", "sd15.ldm", {"a": str(number)}) for number in range(2)]
    alone = [examined(path) for path in paths]
    seen = []
    monkeypatch.setattr(examining, "examined", lambda path: seen.append(path) or examined(path))
    assert list(examining.examining(paths)) == alone
    assert [each.title for each in alone[:3]] == ["a", "b", "c"]
    assert alone[2].algorithm == "dylora"
    assert seen == [paths[0], *paths[2:]]  # the positions of a checkpoint are looked at


def test_a_file_that_is_cut_or_called_otherwise_is_not_like_others(tmp_path):
    one = saved(tmp_path / "one.safetensors", "lora-kohya-sd15-r8", {"a": "b"})
    (tmp_path / "cut.safetensors").write_bytes(one.read_bytes()[:-1])
    (tmp_path / "other.ckpt").write_bytes(one.read_bytes())
    paths = [one, tmp_path / "cut.safetensors", tmp_path / "other.ckpt"]
    assert [each.problems for each in examining.examining(paths)] == [(), ("truncated",), ("wrong-extension",)]


@pytest.fixture
def many(tmp_path, lora):
    paths = [lora, tmp_path / "none.pt"]
    for number in range(5):
        vectors = np.ones((number + 1, 768), np.float32)
        paths.append(files.save(tmp_path / f"word {number}é.safetensors", {"emb_params": vectors}))
    return paths


def test_other_processes_tell_the_same(many, monkeypatch):
    here = [examined(path) for path in many]
    monkeypatch.setattr(examining, "_FEW", 1)
    monkeypatch.setattr(examining.os, "cpu_count", lambda: 3)
    monkeypatch.setattr(examining, "examined", lambda path: pytest.fail("it was done here"))
    assert list(examining.examining(many)) == here


def test_what_another_process_cannot_do_is_done_here(many, monkeypatch):
    monkeypatch.setattr(examining, "_FEW", 1)
    monkeypatch.setattr(examining.os, "cpu_count", lambda: 2)
    for code in ("raise SystemExit(1)", 'print(\'{"kind": "vae"}\', flush=True)', "print('{\"ki', end='')"):
        monkeypatch.setattr(examining, "_HAND", code)
        found = list(examining.examining(many))
        assert found[2:] == [examined(path) for path in many[2:]]


def test_stopping_ends_the_other_processes(many, monkeypatch):
    monkeypatch.setattr(examining, "_FEW", 1)
    monkeypatch.setattr(examining, "_HAND", "import time; print('{}', flush=True); time.sleep(60)")
    started = []
    popen = examining.subprocess.Popen
    monkeypatch.setattr(examining.subprocess, "Popen", lambda *a, **k: started.append(popen(*a, **k)) or started[-1])
    monkeypatch.setattr(examining.os, "cpu_count", lambda: 2)
    facts = examining.examining(many)
    assert next(facts) == Facts()
    facts.close()
    assert len(started) == 2 and all(each.poll() is not None for each in started)


def test_without_an_interpreter_it_is_done_here(many, monkeypatch):
    monkeypatch.setattr(examining, "_FEW", 1)
    monkeypatch.setattr(sys, "executable", "")
    assert len(list(examining.examining(many))) == len(many)
