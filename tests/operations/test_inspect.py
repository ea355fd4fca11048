"""`inspect` tells the contract's facts from the directory of tensors, without torch."""

import hashlib
import json
import os
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
import torch

from pochade import files
from pochade.errors import UnsafeFileError
from pochade.operations.inspect import inspect

from ..families.manifests import manifest, narrow, part, shapes, without

FIELDS = """
path format kind family variant prediction components missing ema dtypes parameters bytes junk problems metadata
trigger_words
""".split()  # noqa: SIM905
SMALL = narrow(without(shapes("sd15.ldm"), "model_ema."))
POSITIONS = "cond_stage_model.transformer.text_model.embeddings.position_ids"
EMA = narrow(shapes("sd15.ldm"))


def model(tensors=SMALL, dtype=np.float16, **others):
    made = {name: np.zeros(shape, dtype) for name, shape in tensors.items()}
    if POSITIONS in made:
        made[POSITIONS] = np.arange(9)[None]
    return made | others


def inspected(tmp_path, tensors, metadata=None, name="model.safetensors"):
    return inspect(files.save(tmp_path / name, tensors, metadata))


def codes(report):
    return [problem["code"] for problem in report["problems"]]


def test_a_clean_checkpoint_has_all_facts_and_no_problem(tmp_path):
    path = files.save(tmp_path / "model.safetensors", model(), {"title": "x"})
    report = inspect(path)
    assert list(report) == FIELDS
    assert json.loads(json.dumps(report)) == report
    expected = {
        "path": str(path), "format": "safetensors", "kind": "checkpoint", "family": "sd1", "variant": "base",
        "prediction": "epsilon", "components": ["unet", "vae", "text-encoder"], "missing": [], "ema": "none",
        "bytes": path.stat().st_size, "problems": [], "metadata": {"title": "x"}, "trigger_words": [],
    }  # fmt: skip
    assert {key: report[key] for key in expected} == expected
    assert report["parameters"] == sum(array.size for array in model().values())
    assert report["dtypes"] == {"F16": report["parameters"] - 9, "I64": 9}
    assert report["junk"]["keys"] == 13  # twelve buffers of the noise schedule and the position numbers


def test_moving_averages_are_told(tmp_path):
    assert inspected(tmp_path, model(EMA))["ema"] == "both"
    assert inspected(tmp_path, model(without(EMA, "model.diffusion_model.")))["ema"] == "only"


def test_missing_parts_are_problems(tmp_path):
    report = inspected(tmp_path, model(without(SMALL, "first_stage_model.")))
    assert (report["missing"], codes(report)) == (["vae"], ["vae-missing"])
    report = inspected(tmp_path, model(without(SMALL, "cond_stage_model.")))
    assert (report["missing"], codes(report)) == (["text-encoder"], ["text-encoder-missing"])


def test_damaged_position_numbers_are_found(tmp_path):
    damaged = np.arange(9, dtype=np.float16)[None]
    damaged[0, 5] = 4
    report = inspected(tmp_path, model(**{POSITIONS: damaged}))
    assert codes(report) == ["clip-position-ids"]
    assert "[5]" in report["problems"][0]["message"]
    assert codes(inspected(tmp_path, model(**{POSITIONS: np.arange(9, dtype=np.float16)[None]}))) == []


@pytest.mark.parametrize("value", [float("nan"), 1e30])
def test_position_numbers_that_are_no_numbers_are_damaged(tmp_path, value):
    report = inspected(tmp_path, model(**{POSITIONS: np.full((1, 9), value, np.float32)}))
    assert codes(report) == ["clip-position-ids"]


def test_absurdly_many_position_numbers_are_not_read(tmp_path):
    path = tmp_path / "x.safetensors"
    count = 2**28
    entry = {"dtype": "I64", "shape": [count], "data_offsets": [0, 8 * count]}
    header = json.dumps({POSITIONS: entry}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    os.truncate(path, 8 + len(header) + 8 * count)
    report = inspect(path)
    assert codes(report) == ["incomplete", "clip-position-ids"]
    assert str(count) in report["problems"][1]["message"]


def test_schedules_of_parts_mix_no_precision(tmp_path):
    buffers = {f"low_scale_model.{name}": np.zeros(9, np.float32) for name in ("betas", "alphas_cumprod")}
    assert codes(inspected(tmp_path, model(**buffers))) == []


def test_a_controlnet_has_no_variant_and_no_unet(tmp_path):
    unet = {name: np.zeros(shape, np.float16) for name, shape in part(SMALL, "model.diffusion_model.").items()}
    unet = {name: array for name, array in unet.items() if not name.startswith("out")}
    report = inspected(tmp_path, unet | {"zero_convs.0.0.weight": np.zeros((9, 9, 1, 1), np.float16)})
    facts = [report[key] for key in ("kind", "family", "variant", "prediction", "components", "problems")]
    assert facts == ["controlnet", "sd1", None, None, ["controlnet"], []]


def test_an_alpha_that_is_no_number_is_none(tmp_path):
    tensors = {"a.lora_down.weight": np.zeros((4, 8)), "a.alpha": np.array(np.nan)}
    assert inspected(tmp_path, tensors)["alpha"] is None


def test_mixed_precision_names_the_parts(tmp_path):
    mixed = {
        name: array.astype(np.float32) if name.startswith("first_stage_model.") else array
        for name, array in model().items()
    }
    report = inspected(tmp_path, mixed)
    assert codes(report) == ["mixed-precision"]
    assert "F32 in vae" in report["problems"][0]["message"]


def test_leftovers_of_training_are_junk(tmp_path):
    loss = {"first_stage_model.loss.logvar": np.zeros(1000, np.float16)}
    report = inspected(tmp_path, model(**loss))
    assert codes(report) == ["junk"]
    assert report["junk"]["keys"] == 14 and report["junk"]["bytes"] > 2000


def test_leftovers_beside_the_weights_are_counted(tmp_path):
    path = tmp_path / "model.ckpt"
    state = {name: torch.zeros(shape) for name, shape in SMALL.items() if name != POSITIONS}
    moments = [{"state": {0: {"exp_avg": torch.zeros(100)}}}]
    torch.save({"state_dict": state, "optimizer_states": moments, "lr_schedulers": [], "global_step": 1}, path)
    report = inspect(path)
    assert (report["format"], report["kind"], codes(report)) == ("ckpt", "checkpoint", ["junk"])
    assert report["junk"]["keys"] == 13 and report["junk"]["bytes"] >= 400


def test_unknown_tensors_are_named(tmp_path):
    report = inspected(tmp_path, model(**{"strange.weight": np.zeros(1, np.float16), "ztsnr": np.zeros(0)}))
    assert codes(report) == ["unknown-keys"]
    assert "strange.weight" in report["problems"][0]["message"]


def test_a_wrong_extension_is_told(tmp_path):
    report = inspected(tmp_path, model(), name="model.ckpt")
    assert (report["format"], codes(report)) == ("safetensors", ["wrong-extension"])


@pytest.mark.parametrize(
    ("metadata", "others", "prediction"),
    [
        ({}, {}, "epsilon"),
        ({"modelspec.prediction_type": "v"}, {}, "v"),
        ({"modelspec.prediction_type": "epsilon"}, {}, "epsilon"),
        ({}, {"v_pred": np.zeros(0)}, "v"),
    ],
)
def test_what_the_model_predicts(tmp_path, metadata, others, prediction):
    assert inspected(tmp_path, model(**others), metadata)["prediction"] == prediction


def test_a_lora_tells_algorithm_rank_and_alpha(tmp_path):
    tensors = {name: np.full(shape, 4, np.float16) for name, shape in shapes("lora-kohya-sd15-r8").items()}
    report = inspected(tmp_path, tensors)
    facts = {key: report[key] for key in ("kind", "family", "algorithm", "rank", "alpha", "components", "prediction")}
    assert facts == {
        "kind": "lora", "family": "sd1", "algorithm": "lora", "rank": 8, "alpha": 4.0, "components": [],
        "prediction": None,
    }  # fmt: skip


@pytest.mark.parametrize("tensors", [{}, {"x": np.zeros(3)}])
def test_unknown_files_are_unknown(tmp_path, tensors):
    report = inspected(tmp_path, tensors)
    assert (report["kind"], report["family"], report["prediction"], report["problems"]) == ("unknown", None, None, [])


def test_unsafe_files_are_refused(tmp_path):
    torch.save({"a": subprocess.Popen}, tmp_path / "x.ckpt")
    with pytest.raises(UnsafeFileError, match="Popen"):
        inspect(tmp_path / "x.ckpt")


def test_deep_reads_every_number(tmp_path):
    broken = "first_stage_model.decoder.conv_out.weight"
    tensors = {name: np.ones(shape, np.float16) for name, shape in SMALL.items() if name != POSITIONS}
    tensors[broken][0, 0, 0, 0] = np.nan
    tensors["model.diffusion_model.out.2.bias"][1] = -np.inf
    path = files.save(tmp_path / "a.safetensors", tensors)
    assert codes(inspect(path)) == []
    report = inspect(path, deep=True)
    assert codes(report) == ["nan-or-inf", "vae-broken"]
    assert report["problems"][0]["message"].startswith("There is NaN or infinity in unet and vae: ")
    assert broken in report["problems"][1]["message"]
    tensors = {name: np.ones(shape, np.float16) for name, shape in SMALL.items() if name != POSITIONS}
    assert codes(inspected(tmp_path, tensors | {broken: tensors[broken] * 0})) == []
    assert codes(inspect(tmp_path / "model.safetensors", deep=True)) == ["vae-broken"]


def test_deep_reading_keeps_little_in_memory(tmp_path):
    path = tmp_path / "vae.safetensors"
    count = 2**25
    entry = {"dtype": "F16", "shape": [2, count // 2], "data_offsets": [0, 2 * count]}
    header = json.dumps({"decoder.conv_in.weight": entry}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    os.truncate(path, 8 + len(header) + 2 * count)
    tracemalloc.start()
    report = inspect(path, deep=True)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert codes(report) == ["vae-broken"] and "nothing but zeros" in report["problems"][0]["message"]
    assert peak < 8e6


def test_deep_reading_goes_through_folders(tmp_path):
    found = manifest("vae-kl-f8.diffusers")["components"]["vae"]
    sizes = narrow({name: tuple(shape) for name, (_, shape, *_) in found.items()}, 4)
    tensors = {name: np.ones(shape, np.float16) for name, shape in sizes.items()}
    tensors["decoder.conv_in.weight"][:] = np.inf
    files.save(tmp_path / "diffusion_pytorch_model.safetensors", tensors)
    report = inspect(tmp_path, deep=True)
    assert (report["kind"], codes(report)) == ("vae", ["nan-or-inf", "vae-broken"])


def test_hashes_are_those_that_web_uis_show(tmp_path):
    content = bytes((7 * index + 3) & 255 for index in range(0x120000))
    path = files.save(tmp_path / "x.safetensors", {"x": np.frombuffer(content, np.uint8)}, {"any": "thing"})
    found = inspect(path, hashes=True)["hashes"]
    whole = path.read_bytes()
    assert found == {
        "sha256": hashlib.sha256(whole).hexdigest(),
        "autov1": hashlib.sha256(whole[0x100000:0x110000]).hexdigest()[:8],
        "autov2": hashlib.sha256(whole).hexdigest()[:10],
        "autov3": hashlib.sha256(content).hexdigest()[:12],
    }


def test_hashes_of_other_files(tmp_path):
    """Recorded values; the last is the known short hash of every file below 1 MiB."""
    from pochade.files.hashes import hashes

    (tmp_path / "x").write_bytes(bytes((7 * index + 3) & 255 for index in range(0x120000)))
    found = hashes(tmp_path / "x")
    assert found["autov1"] == "510b126e"
    assert found["sha256"].startswith("9cda7fe314") and found["autov2"] == "9cda7fe314"
    assert "autov3" not in found
    (tmp_path / "x").write_bytes(b"small")
    assert hashes(tmp_path / "x")["autov1"] == "e3b0c442"


def test_inspecting_imports_no_torch():
    program = "import sys, pochade.operations; print(sorted({'torch', 'ml_dtypes', 'PIL'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


SD15 = narrow(shapes("sd15.ldm"), 4)


@pytest.mark.parametrize(
    ("width", "name", "family"),
    [
        (768, "text_model.embeddings.token_embedding.weight", None),
        (1280, "text_model.embeddings.token_embedding.weight", "sdxl"),
        (1024, "token_embedding.weight", "sd2"),
    ],
)
def test_a_text_encoder_alone_is_told_by_its_width(tmp_path, width, name, family):
    report = inspect(files.save(tmp_path / "x.safetensors", {name: np.zeros((2, width), np.float16)}))
    assert (report["kind"], report["family"]) == ("text-encoder", family)


@pytest.mark.parametrize(
    ("metadata", "beside", "prediction"),
    [
        ({}, "", "epsilon"),
        ({"modelspec.architecture": "stable-diffusion-v2-768-v"}, "", "v"),
        ({"modelspec.prediction_type": "V_PREDICTION"}, "", "v"),
        ({}, 'model:\n  params: {parameterization: "v"}\n', "v"),
        ({}, '{"model": {"params": {"scale": 1, "parameterization": "v"}}}', "v"),
        ({}, '# model: {parameterization: "v"}\n', "epsilon"),
    ],
)
def test_prediction_is_read_as_people_write_it(tmp_path, metadata, beside, prediction):
    arrays = {name: np.zeros(shape, np.float16) for name, shape in SD15.items()}
    path = files.save(tmp_path / "x.safetensors", arrays, metadata)
    path.with_suffix(".yaml").write_text(beside)
    assert inspect(path)["prediction"] == prediction
