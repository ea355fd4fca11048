"""The doctor: each ailment is named, explained and given a cure; a healthy file has none."""

import json
import os
import pickle
import shutil

import ml_dtypes
import numpy as np
import pytest
import torch

from pochade import files
from pochade.errors import MalformedFileError, MissingFileError
from pochade.events import Made
from pochade.families import SD1
from pochade.library.copies import copies
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


@pytest.mark.parametrize("dtype", [ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2])
def test_small_floats_are_read_too(tmp_path, dtype):
    tensors = arrays(dtype)
    assert codes(tmp_path, tensors) == []
    tensors["model.diffusion_model.out.2.bias"][1] = np.nan
    assert codes(tmp_path, tensors) == ["nan-or-inf"]


def test_nothing_is_told_twice(tmp_path):
    tensors = arrays()
    tensors["first_stage_model.decoder.conv_out.weight"][:] = np.nan
    tensors["model.diffusion_model.out.2.bias"][:] = np.nan
    found = diagnose(files.save(tmp_path / "a.safetensors", tensors)).problems
    assert [each.code for each in found] == ["nan-or-inf", "vae-broken"]
    assert found[0].message.startswith("There is NaN or infinity in unet and vae: ")


def test_weights_of_zeros_are_found(tmp_path):
    tensors = arrays()
    tensors["first_stage_model.decoder.conv_out.bias"][:] = 0  # as fresh biases are
    tensors["model.diffusion_model.out.2.bias"][:] = 0
    assert codes(tmp_path, tensors) == []
    tensors["first_stage_model.decoder.conv_out.weight"][:] = -0.0
    assert codes(tmp_path, tensors) == ["vae-broken"]
    tensors |= {name: each * 0 for name, each in arrays().items() if name.startswith("first_stage_model.")}
    tensors["model.diffusion_model.out.2.weight"][:] = 0
    found = diagnose(files.save(tmp_path / "a.safetensors", tensors)).problems
    assert [each.code for each in found] == ["vae-broken", "zero-weights"]
    assert "nothing but zeros in" in found[0].message and "grey" in found[0].why
    assert found[1].message == "The unet holds nothing but zeros in model.diffusion_model.out.2.weight."


def test_many_broken_tensors_are_counted(tmp_path):
    tensors = {f"x{number}": np.full(2, np.nan, np.float32) for number in range(9)}
    (found,) = diagnose(files.save(tmp_path / "a.safetensors", tensors)).problems
    assert found.message == "There is NaN or infinity: 9 tensors, e.g. x0, x1, x2, x3, x4."


def test_the_difference_of_a_controlnet_is_a_trap(tmp_path):
    sizes = narrow(shapes("controlnet-sd15.ldm"), 4)
    tensors = {name: np.ones(size, np.float16) for name, size in sizes.items()} | {
        "difference": np.ones((), np.float32)
    }
    assert codes(tmp_path, tensors) == ["controlnet-difference"]


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


@pytest.mark.parametrize("legacy", [False, True])
def test_cut_pickles_are_truncated(tmp_path, legacy):
    path = tmp_path / "a.ckpt"
    torch.save({"a": torch.ones(1000), "b": torch.ones(1000)}, path, _use_new_zipfile_serialization=not legacy)
    whole = path.read_bytes()
    for share in (0.2, 0.5, 0.95):
        path.write_bytes(whole[: int(len(whole) * share)])
        assert [each.code for each in diagnose(path).problems] == ["truncated"]


def test_overlapping_tensors_have_their_code(tmp_path):
    places = {"a": [0, 8], "b": [4, 12]}
    entries = {name: {"dtype": "F32", "shape": [2], "data_offsets": each} for name, each in places.items()}
    header = json.dumps(entries).encode()
    path = tmp_path / "a.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(12))
    assert [each.code for each in diagnose(path).problems] == ["duplicate-offsets"]


def test_a_whole_library_is_examined(tmp_path):
    (tmp_path / "deep").mkdir()
    files.save(tmp_path / "deep/a.safetensors", arrays())
    (tmp_path / "b.ckpt").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("hello")
    found = [event.result for event in diagnosing(tmp_path) if isinstance(event, Made)]
    assert [(each.path.name, bool(each.problems)) for each in found] == [("b.ckpt", True), ("a.safetensors", False)]


def library(tmp_path, **tensors):
    tmp_path.mkdir(exist_ok=True)
    for name, each in tensors.items():
        files.save(tmp_path / f"{name}.safetensors", {key: np.ones(size, np.float16) for key, size in each.items()})
    return tmp_path


def found_in(path, **options):
    made = [event.result for event in diagnosing(path, **options) if isinstance(event, Made)]
    return {each.path.stem: tuple(problem.code for problem in each.problems) for each in made}


SD1_MODEL = narrow({name: SHAPES[name] for name in NAMES}, 4)
SD1_LORA, SDXL_LORA = shapes("lora-kohya-sd15-r8"), narrow(shapes("lora-kohya-sdxl-r8"), 4)
SD2_CONTROL = narrow(shapes("controlnet-sd21.ldm"), 4)
STRANGERS = {
    "lora": SDXL_LORA,
    "embedding": {"emb_params": (2, 1024)},
    "hypernetwork": {"320.0.linear.0.weight": (2, 320), "1024.0.linear.0.weight": (2, 1024)},
    "controlnet": SD2_CONTROL,
}
FITTING = {"fits": {"emb_params": (2, 768)}, "style": narrow(SD1_LORA, 4)}
OTHER = dict.fromkeys(STRANGERS, ("other-base",))


def test_what_goes_with_no_checkpoint_of_the_library_is_told(tmp_path):
    odd = {"odd": {"lora_unet_x_attn2_to_k.lora_down.weight": (8, 99)}}
    folder = library(tmp_path, model=SD1_MODEL, **STRANGERS, **FITTING, **odd)
    assert found_in(folder) == {"model": (), "odd": (), **dict.fromkeys(FITTING, ()), **OTHER}
    made = [event.result for event in diagnosing(folder) if isinstance(event, Made)]
    told = {each.path.stem: each for each in made}
    assert told["odd"].what == "lora of no known family"
    (problem,) = told["embedding"].problems
    assert problem.message == "It is for Stable Diffusion 2.x; the checkpoints at hand are Stable Diffusion 1.x."
    assert problem.fix == "use it with a Stable Diffusion 2.x model" and problem.why


def test_without_a_checkpoint_nothing_is_compared(tmp_path):
    assert found_in(library(tmp_path, **STRANGERS)) == dict.fromkeys(STRANGERS, ())


def test_a_base_is_compared_with(tmp_path):
    folder = library(tmp_path / "loras", **STRANGERS, **FITTING)
    base = files.save(tmp_path / "base.safetensors", arrays())
    assert found_in(folder, base=base) == {**dict.fromkeys(FITTING, ()), **OTHER}
    assert found_in(folder / "lora.safetensors", base=base) == {"lora": ("other-base",)}
    assert found_in(folder / "lora.safetensors") == {"lora": ()}
    with pytest.raises(MalformedFileError, match="no checkpoint of a known family, but lora"):
        found_in(folder, base=folder / "lora.safetensors")
    with pytest.raises(MissingFileError):
        found_in(folder, base=folder / "none")


def test_copies_are_found_by_their_bytes(tmp_path):
    first = files.save(tmp_path / "a.safetensors", {"x": np.arange(9999)})
    shutil.copy(first, tmp_path / "b.safetensors")
    os.link(first, tmp_path / "c.safetensors")
    (tmp_path / "d.safetensors").symlink_to(first)
    files.save(tmp_path / "e.safetensors", {"x": np.arange(9999)[::-1]})
    content = bytearray(first.read_bytes())
    content[10_000] ^= 1  # between the samples
    (tmp_path / "f.safetensors").write_bytes(content)
    healthy = dict.fromkeys("acdef", ())
    assert found_in(tmp_path) == {**healthy, "b": ("duplicate",)}
    assert found_in(tmp_path, deep=False) == {**healthy, "b": ()}


def test_links_that_lead_nowhere_stop_nothing(tmp_path):
    library(tmp_path, model=SD1_MODEL)
    (tmp_path / "a.safetensors").symlink_to(tmp_path / "gone")
    assert found_in(tmp_path) == {"a": ("missing",), "model": ()}


def test_a_file_that_goes_meanwhile_is_no_copy(tmp_path):
    one, other = (files.save(tmp_path / f"{name}.safetensors", {"a": np.ones(2, np.float32)}) for name in "ab")
    assert copies([tmp_path / "gone", one, other]) == {other: one}


def test_names_that_would_steer_the_terminal_are_escaped(tmp_path):
    steering = "\x1b[31mred\n\u202e"
    tensors = arrays() | {steering: np.ones(2, np.float16), "model.diffusion_model." + steering: np.full(2, np.nan)}
    messages = " ".join(each.message for each in diagnose(files.save(tmp_path / "a.safetensors", tensors)).problems)
    assert messages.isprintable()
    assert messages.count(r"\x1b[31mred\n\u202e") == 2


def test_no_advice_is_given_that_convert_would_refuse(tmp_path):
    network = {"linear.0.weight": torch.ones(4, 4), "linear.0.bias": torch.ones(4)}
    torch.save({320: (network, network), "activation_func": "relu"}, tmp_path / "h.pt")
    assert [each.code for each in diagnose(tmp_path / "h.pt").problems] == []


def test_paths_in_messages_keep_their_letters(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = files.save(tmp_path / "whole.safetensors", arrays()).parent / "sh"
    (folder / "unet").mkdir(parents=True)
    (folder / "model_index.json").write_text('{"_class_name": "X", "unet": ["diffusers", "UNet2DConditionModel"]}')
    index = {"weight_map": {"conv_in.weight": "a.safetensors"}}
    (folder / "unet/diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index))
    (problem,) = diagnose(folder.relative_to(tmp_path)).problems
    assert problem.message.startswith("sh/unet/")
