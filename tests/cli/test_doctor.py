import json
import shlex

import numpy as np
import pytest

from pochade import files
from pochade.families import SD1
from pochade.operations.doctor import diagnose

from ..families.manifests import narrow, shapes

POSITIONS = "cond_stage_model.transformer.text_model.embeddings.position_ids"
LIVE = "model.diffusion_model."


def test_what_is_wrong_is_told_with_its_cure(run, tmp_path):
    path = files.save(tmp_path / "vae.safetensors", {"encoder.conv_in.weight": np.full((2, 2), np.nan, np.float32)})
    done = run("doctor", str(path))
    assert done.exit_code == 1
    assert done.stdout.splitlines() == [
        f"{path} (vae)",
        "  vae-broken: The VAE holds NaN or infinity in encoder.conv_in.weight.",
        "    Pictures come out black.",
        "    Mend it: get another copy of the VAE",
    ]
    assert run("doctor", "--fast", str(path)).exit_code == 0


def test_json(run, tmp_path):
    path = files.save(tmp_path / "vae.safetensors", {"encoder.conv_in.weight": np.ones((2, 2), np.float32)})
    found = json.loads(run("doctor", "--json", str(path)).stdout)
    assert found == {"path": str(path), "what": "vae", "problems": []}


def test_a_missing_file_is_3(run):
    assert run("doctor", "none.safetensors").exit_code == 3


def test_a_missing_file_does_not_hide_the_others(run, tmp_path):
    path = files.save(tmp_path / "vae.safetensors", {"encoder.conv_in.weight": np.ones((2, 2), np.float32)})
    done = run("doctor", "--json", str(path), "none.safetensors")
    found = json.loads(done.stdout)
    assert (done.exit_code, [each["path"] for each in found]) == (3, [str(path), "none.safetensors"])
    assert [each["code"] for each in found[1]["problems"]] == ["missing"]


def model():
    sizes = narrow(shapes("sd15.ldm"), 4)
    parts = (LIVE, "first_stage_model.", "cond_stage_model.")
    return {name: np.ones(sizes[name], np.float16) for name in sizes if name.startswith(parts) and name != POSITIONS}


def without_vae():
    return {name: each for name, each in model().items() if not name.startswith("first_stage_model.")}


def averaged():
    return {SD1.ema_name(name) if name.startswith(LIVE) else name: each for name, each in model().items()}


def mixed():
    return model() | {f"{LIVE}out.2.bias": np.ones(4, np.float32)}


@pytest.mark.parametrize(
    ("code", "tensors"),
    [
        ("vae-missing", without_vae),
        ("vae-broken", lambda: model() | {"first_stage_model.quant_conv.weight": np.zeros((4, 4, 1, 1), np.float16)}),
        ("clip-position-ids", lambda: model() | {POSITIONS: np.zeros((1, 4), np.int64)}),
        ("mixed-precision", mixed),
        ("junk", lambda: model() | {"first_stage_model.loss.logvar": np.ones(2, np.float16)}),
        ("unknown-keys", lambda: model() | {"strange.weight": np.ones(2, np.float16)}),
        ("ema", lambda: model() | averaged()),
        ("ema-only", averaged),
    ],
)
def test_the_commands_mend_what_they_say(run, tmp_path, code, tensors):
    path = files.save(tmp_path / "an old model.safetensors", tensors())
    vae = {name: each for name, each in model().items() if name.startswith("first_stage_model.")}
    files.save(tmp_path / "VAE.safetensors", vae)
    (found,) = diagnose(path).problems
    assert found.code == code
    assert run(*shlex.split(found.fix)[1:]).exit_code == 0
    (mended,) = set(tmp_path.glob("an old model-*.safetensors"))
    assert diagnose(mended).problems == ()


def test_an_unknown_file_is_not_called_in_order(run, tmp_path):
    done = run("doctor", str(files.save(tmp_path / "x.safetensors", {"x": np.ones(3, np.float32)})))
    assert done.exit_code == 0
    assert "(unknown): no kind of model that Pochade knows" in done.stdout


def test_a_library_ends_with_its_count(run, tmp_path):
    files.save(tmp_path / "a.safetensors", {"x": np.ones(3, np.float32)})
    (tmp_path / "b.ckpt").write_bytes(b"")
    done = run("doctor", str(tmp_path))
    assert (done.exit_code, done.stdout.splitlines()[-1]) == (1, "2 files, 1 with problems")
    (tmp_path / "empty").mkdir()
    done = run("doctor", str(tmp_path / "empty"))
    assert (done.exit_code, done.stdout) == (0, "0 files, 0 with problems\n")


def test_a_base_that_is_none_is_3(run, tmp_path):
    lora = files.save(tmp_path / "lora.safetensors", {"lora_te1_x.lora_down.weight": np.ones((4, 8), np.float32)})
    base = files.save(tmp_path / "base.safetensors", model())
    done = run("doctor", str(lora), "--base", str(base))
    assert done.exit_code == 1 and "other-base: It is for Stable Diffusion XL" in done.stdout
    done = run("doctor", str(lora), "--base", str(lora))
    assert (done.exit_code, done.stdout) == (3, "") and "is no checkpoint of a known family" in done.stderr
    assert run("doctor", str(lora), "--base", "none.safetensors").exit_code == 3
