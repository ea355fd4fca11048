"""Converting: the same numbers in another container, exact rounding, and only the parts that were asked for."""

import hashlib
import json
import os
import sys

import ml_dtypes
import numpy as np
import pytest
import torch

import pochade
from pochade import families, files
from pochade.errors import UsageError
from pochade.families import SD1
from pochade.library.hashes import sha256

from ..families.manifests import narrow, shapes


def model(name="sd15.ldm", dtype=np.float32):
    """A whole checkpoint with narrow tensors of its true names; averages differ from what they average."""
    rng = np.random.default_rng(1)
    tensors = {each: rng.standard_normal(shape).astype(dtype) for each, shape in narrow(shapes(name), 3).items()}
    tensors["cond_stage_model.transformer.text_model.embeddings.position_ids"] = np.arange(77, dtype=np.int64)[None]
    return tensors


@pytest.fixture
def source(tmp_path):
    return files.save(tmp_path / "model.safetensors", model(), {"author": "someone"})


def same(one, other):
    return {name: np.asarray(one[name]).tobytes() for name in one} == {
        name: np.asarray(other[name]).tobytes() for name in other
    }


def test_to_ckpt_and_back_is_exact(source, tmp_path):
    there = pochade.convert(source, tmp_path / "a.ckpt", keep_junk=True)
    back = pochade.convert(there, tmp_path / "b.safetensors", keep_junk=True)
    assert torch.load(there, weights_only=True)["state_dict"].keys() == model().keys()
    assert same(files.open(back), files.open(source))


@pytest.mark.parametrize(("dtype", "to"), [("fp16", np.float16), ("bf16", ml_dtypes.bfloat16), ("fp32", np.float32)])
@pytest.mark.parametrize("before", [np.float32, np.float16, ml_dtypes.bfloat16])
def test_precision_is_rounded_as_numpy_rounds(tmp_path, dtype, to, before):
    numbers = np.random.default_rng(2).standard_normal(700_001).astype(before)
    path = files.save(tmp_path / "a.safetensors", {"a": numbers, "ids": np.arange(3)})
    found = files.open(pochade.convert(path, tmp_path / "b.safetensors", dtype=dtype))
    assert np.asarray(found["a"]).tobytes() == numbers.astype(np.float32).astype(to).tobytes()
    assert found.info("ids").dtype == "I64"


def test_moving_averages_are_used_or_dropped(source, tmp_path):
    full = model()
    unet = [name for name in full if name.startswith(SD1.unet_prefix)]
    used = files.open(pochade.convert(source, tmp_path / "used.safetensors", ema="use"))
    assert not [name for name in used if name.startswith("model_ema.")]
    assert all(np.array_equal(used[name], full[SD1.ema_name(name)]) for name in unet)
    dropped = files.open(pochade.convert(source, tmp_path / "dropped.safetensors", ema="drop"))
    assert set(dropped) == set(used)
    assert all(np.array_equal(dropped[name], full[name]) for name in unet)


def test_a_file_of_averages_alone_becomes_a_whole_model(tmp_path):
    full = model()
    path = files.save(
        tmp_path / "ema.safetensors",
        {name: each for name, each in full.items() if not name.startswith(SD1.unet_prefix)},
    )
    with pytest.raises(UsageError, match="moving average only"):
        pochade.convert(path, tmp_path / "x.safetensors", ema="drop")
    used = files.open(pochade.convert(path, tmp_path / "x.safetensors", ema="use"))
    assert families.recognise(used.shapes()) is SD1
    assert {name for name in used if name.startswith(SD1.unet_prefix)} == {
        name for name in full if name.startswith(SD1.unet_prefix)
    }


def test_parts_are_chosen(source, tmp_path):
    only = files.open(pochade.convert(source, tmp_path / "a.safetensors", only=("vae",)))
    assert {name.split(".")[0] for name in only} == {"first_stage_model"}
    less = pochade.inspect(pochade.convert(source, tmp_path / "b.safetensors", drop=("vae",)))
    assert less["components"] == ["unet", "text-encoder"]
    with pytest.raises(UsageError, match=r"no part named 'vea'.*unet, vae"):
        pochade.convert(source, tmp_path / "c.safetensors", only=("vea",))


def test_junk_goes_unless_kept(source, tmp_path):
    lean = pochade.convert(source, tmp_path / "a.safetensors", ema="drop")
    assert pochade.inspect(lean)["junk"]["keys"] == 0
    assert "betas" in files.open(pochade.convert(source, tmp_path / "b.safetensors", keep_junk=True))


def test_another_vae_is_put_in_whatever_its_names(source, tmp_path):
    prefix = SD1.vae_prefix
    other = {name: each + 1 for name, each in model().items() if name.startswith(prefix)}
    alone = files.save(tmp_path / "vae.safetensors", {name.removeprefix(prefix): each for name, each in other.items()})
    inside = files.save(tmp_path / "other.safetensors", model() | other)
    for vae in (alone, inside):
        found = files.open(pochade.convert(source, tmp_path / "x.safetensors", vae=vae))
        assert all(np.array_equal(found[name], each) for name, each in other.items())
        assert families.recognise(found.shapes()) is SD1


def test_repairs(tmp_path):
    broken = {name.replace(".text_model.", "."): each for name, each in model().items()}
    ids = "cond_stage_model.transformer.embeddings.position_ids"
    broken[ids] = np.arange(77).astype(np.float16)[None] - (np.arange(77) == 41)
    path = files.save(tmp_path / "a.safetensors", broken)
    found = files.open(pochade.convert(path, tmp_path / "b.safetensors", repair=True))
    positions = found["cond_stage_model.transformer.text_model.embeddings.position_ids"]
    assert positions.dtype == np.int64
    np.testing.assert_array_equal(positions, np.arange(77)[None])
    assert not [name for name in found if name.startswith("cond_stage_model.transformer.e")]


def test_the_result_tells_where_it_comes_from(source, tmp_path):
    once = pochade.convert(source, tmp_path / "a.safetensors", dtype="fp16", ema="drop")
    twice = pochade.convert(once, tmp_path / "b.safetensors", only=("unet",))
    metadata = files.open(twice).metadata
    told = json.loads(metadata["pochade.lineage"])
    assert metadata["author"] == "someone"
    assert told["options"] == {"only": ["unet"]}
    assert told["parents"]["model"]["name"] == "a.safetensors"
    assert told["parents"]["model"]["sha256"] == hashlib.sha256(once.read_bytes()).hexdigest()
    assert told["parents"]["model"]["lineage"]["options"] == {"dtype": "fp16", "ema": "drop"}


def test_a_large_file_is_not_hashed_in_full_unless_its_hash_is_known(source, tmp_path, monkeypatch):
    monkeypatch.setattr("pochade.operations.convert._SOON_HASHED", 0)

    def parent(name):
        converted = pochade.convert(source, tmp_path / name)
        return json.loads(files.open(converted).metadata["pochade.lineage"])["parents"]["model"]

    assert set(parent("a.safetensors")) == {"name", "bytes", "legacy_hash"}
    known = sha256(source)
    assert parent("b.safetensors")["sha256"] == known


def test_a_file_is_never_converted_onto_itself(source):
    with pytest.raises(UsageError, match="one of the files to read"):
        pochade.convert(source, source)
    with pytest.raises(UsageError, match="tells no format"):
        pochade.convert(source, source.with_suffix(".xyz"))


def test_a_lora_gets_other_names_and_back(tmp_path):
    lora = {name: np.ones(shape, np.float32) for name, shape in narrow(shapes("lora-kohya-sd15-r8"), 4).items()}
    path = files.save(tmp_path / "lora.safetensors", lora)
    there = pochade.convert(path, tmp_path / "peft.safetensors", naming="peft")
    assert all(name.endswith((".lora_A.weight", ".lora_B.weight")) for name in files.open(there))
    back = pochade.convert(there, tmp_path / "back.safetensors", naming="kohya")
    assert set(files.open(back)) == set(lora)


def test_only_a_lora_has_a_naming(source, tmp_path):
    with pytest.raises(UsageError, match="no LoRA of a known family"):
        pochade.convert(source, tmp_path / "b.safetensors", naming="peft")


def test_only_leaves_out_strangers_but_keeps_what_marks_the_model(tmp_path):
    tensors = model() | {"strange.weight": np.ones(2, np.float16), "v_pred": np.ones(0, np.float16)}
    source = files.save(tmp_path / "a.safetensors", tensors)
    every = tuple(pochade.inspect(source)["components"])
    found = files.open(pochade.convert(source, tmp_path / "b.safetensors", only=every))
    assert "v_pred" in found and "strange.weight" not in found
    assert "strange.weight" in files.open(pochade.convert(source, tmp_path / "c.safetensors"))


def test_a_checkpoint_in_a_pickle_still_says_that_it_predicts_v(tmp_path):
    path = files.save(tmp_path / "a.safetensors", model("sd2-v.ldm"), {"modelspec.prediction_type": "v"})
    pickled = pochade.convert(path, tmp_path / "a.ckpt")
    assert pochade.inspect(pickled)["prediction"] == "v"


def test_embeddings_keep_a_name_that_programs_know(tmp_path):
    old = {"string_to_param": {"*": torch.ones(2, 768)}, "name": "cat"}
    torch.save(old, tmp_path / "cat.pt")
    made = pochade.convert(tmp_path / "cat.pt", tmp_path / "cat.safetensors")
    assert list(files.open(made)) == ["emb_params"]
    with pytest.raises(UsageError, match="no program would read it"):
        pochade.convert(made, tmp_path / "other.pt")


def test_a_hypernetwork_stays_what_it_is(tmp_path):
    network = {"linear.0.weight": torch.ones(4, 4), "linear.0.bias": torch.ones(4)}
    torch.save({320: (network, network), "activation_func": "relu"}, tmp_path / "h.pt")
    with pytest.raises(UsageError, match="hypernetwork"):
        pochade.convert(tmp_path / "h.pt", tmp_path / "h.safetensors")


def test_float8_becomes_what_is_asked(tmp_path):
    numbers = np.arange(-8, 8).astype(ml_dtypes.float8_e4m3fn)
    path = files.save(tmp_path / "a.safetensors", {"a": numbers})
    found = files.open(pochade.convert(path, tmp_path / "b.safetensors", dtype="fp16"))
    np.testing.assert_array_equal(found["a"], numbers.astype(np.float16))


def test_a_vae_with_other_latents_is_refused(source, tmp_path):
    before = files.open(source)
    names = {name.removeprefix(SD1.vae_prefix): name for name in before if name.startswith(SD1.vae_prefix)}
    wide = {name: before[old] for name, old in names.items()} | {"decoder.conv_in.weight": np.ones((3, 16, 3, 3), "f4")}
    path = files.save(tmp_path / "vae.safetensors", wide)
    with pytest.raises(UsageError, match="16"):
        pochade.convert(source, tmp_path / "b.safetensors", vae=path)


def test_the_vae_of_another_family_s_checkpoint_is_refused(source, tmp_path):
    other = files.save(
        tmp_path / "xl.safetensors", {k: np.ones(v, "f4") for k, v in narrow(shapes("sdxl-base.ldm"), 2).items()}
    )
    with pytest.raises(UsageError, match="would spoil pictures"):
        pochade.convert(source, tmp_path / "b.safetensors", vae=other)


def test_the_hash_of_other_numbers_is_not_kept(tmp_path):
    path = files.save(tmp_path / "a.safetensors", model(), {"modelspec.hash_sha256": "0xabc", "author": "me"})
    metadata = files.open(pochade.convert(path, tmp_path / "b.safetensors", dtype="fp16")).metadata
    assert "modelspec.hash_sha256" not in metadata
    assert metadata["author"] == "me"


@pytest.mark.parametrize("history", ["x", "[]", "{" * 100_000])
def test_a_history_that_is_none_is_left_out(tmp_path, history):
    source = files.save(tmp_path / "a.safetensors", {"a": np.ones(2)}, {"pochade.lineage": history})
    told = files.open(pochade.convert(source, tmp_path / "b.safetensors")).metadata["pochade.lineage"]
    assert set(json.loads(told)["parents"]["model"]) == {"name", "bytes", "legacy_hash", "sha256"}


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have names of text alone")
def test_a_name_that_is_no_text_is_remembered(tmp_path):
    source = files.save(tmp_path / os.fsdecode(b"mod\xe9le.safetensors"), {"a": np.ones(2)})
    told = files.open(pochade.convert(source, tmp_path / "b.safetensors")).metadata["pochade.lineage"]
    assert json.loads(told)["parents"]["model"]["name"] == source.name


def test_a_hash_that_cannot_be_told_ends_the_work(source, tmp_path, monkeypatch):
    monkeypatch.setattr("pochade.operations.lineage.sha256", lambda path: {}["no such thing"])
    with pytest.raises(KeyError, match="no such thing"):
        pochade.convert(source, tmp_path / "a.safetensors")
    assert not (tmp_path / "a.safetensors").exists()


def test_averages_of_what_nobody_knows_are_named(tmp_path):
    source = files.save(tmp_path / "a.safetensors", model() | {SD1.ema_name(SD1.unet_prefix) + "foo": np.ones(2)})
    with pytest.raises(UsageError, match="--ema use: 'foo' is no name"):
        pochade.convert(source, tmp_path / "b.safetensors", ema="use")


def test_no_hash_is_computed_for_a_file_that_keeps_none(source, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr("pochade.operations.lineage.sha256", lambda path: asked.append(path) or "0" * 64)
    pochade.convert(source, tmp_path / "a.ckpt")
    assert asked == []
    pochade.convert(source, tmp_path / "a.safetensors")
    assert asked == [source]
