"""The doctor: each ailment is named, explained and given a cure; a healthy file has none."""

import pickle

import ml_dtypes
import numpy as np
import pytest

from pochade import files
from pochade.errors import MissingFileError
from pochade.events import Made
from pochade.families import SD1
from pochade.operations.doctor import diagnose, diagnosing

from ..families.manifests import narrow, shapes

SHAPES = shapes("sd15.ldm")
NAMES = [
    name for name in SHAPES if name.startswith(("model.", "first_stage_model.", "cond_stage_model."))
    and not name.endswith("position_ids")
]  # fmt: skip


def arrays(dtype=np.float16):
    sizes = narrow({name: SHAPES[name] for name in NAMES}, 4)
    return {name: np.ones(shape, dtype) for name, shape in sizes.items()}


def codes(tmp_path, tensors, name="a.safetensors", **options):
    return [each.code for each in diagnose(files.save(tmp_path / name, tensors), **options).problems]


def test_a_healthy_model_is_in_order(tmp_path):
    found = diagnose(files.save(tmp_path / "a.safetensors", arrays()))
    assert found.problems == ()
    assert found.what == "sd1 base checkpoint"


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ml_dtypes.bfloat16])
def test_numbers_that_are_none_are_found(tmp_path, bad, dtype):
    tensors = arrays(dtype)
    tensors["model.diffusion_model.out.2.bias"][1] = bad
    assert codes(tmp_path, tensors) == ["nan-or-inf"]
    assert codes(tmp_path, tensors, deep=False) == []
    tensors = arrays(dtype)
    tensors["first_stage_model.decoder.conv_out.weight"][0, 0, 0, 0] = bad
    assert codes(tmp_path, tensors) == ["vae-broken"]


def test_every_problem_says_why_and_what_to_do(tmp_path):
    tensors = {name: each for name, each in arrays().items() if not name.startswith("first_stage_model.")}
    tensors |= {SD1.ema_name(name): each for name, each in tensors.items() if name.startswith("model.")}
    tensors["cond_stage_model.transformer.text_model.embeddings.position_ids"] = np.zeros((1, 77), np.int64)
    tensors["first_stage_model.loss.logvar"] = np.ones(2, np.float32)
    found = diagnose(files.save(tmp_path / "a.ckpt", tensors))
    assert {each.code for each in found.problems} == {
        "vae-missing", "clip-position-ids", "junk", "wrong-extension", "ema",
    }  # fmt: skip
    assert all(each.message and each.why and each.fix for each in found.problems)


def test_averages_alone_are_explained(tmp_path):
    tensors = arrays()
    alone = {SD1.ema_name(name) if name.startswith("model.") else name: each for name, each in tensors.items()}
    assert codes(tmp_path, alone) == ["ema-only"]


def test_files_that_cannot_be_read_are_problems_too(tmp_path):
    path = files.save(tmp_path / "a.safetensors", arrays())
    content = path.read_bytes()
    path.write_bytes(content[:-100])
    assert [each.code for each in diagnose(path).problems] == ["truncated"]
    path.write_bytes(b"")
    assert [each.code for each in diagnose(path).problems] == ["truncated"]
    path.write_bytes(b"<html>")
    assert [each.code for each in diagnose(path).problems] == ["unreadable"]
    path.write_bytes(pickle.dumps({"a": print}, 2))
    assert [each.code for each in diagnose(path).problems] == ["unsafe-pickle"]
    with pytest.raises(MissingFileError):
        diagnose(tmp_path / "none")


def test_a_whole_library_is_examined(tmp_path):
    (tmp_path / "deep").mkdir()
    files.save(tmp_path / "deep/a.safetensors", arrays())
    (tmp_path / "b.ckpt").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("hello")
    found = [event.result for event in diagnosing(tmp_path) if isinstance(event, Made)]
    assert [(each.path.name, bool(each.problems)) for each in found] == [("b.ckpt", True), ("a.safetensors", False)]
