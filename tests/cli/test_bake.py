import json

import numpy as np

from pochade import files

NAME = "model.diffusion_model.input_blocks.0.0.weight"
PROJECTION = "model.diffusion_model.input_blocks.1.1.proj_in.weight"


def test_a_lora_is_baked(run, tmp_path):
    files.save(
        tmp_path / "model.safetensors",
        {NAME: np.zeros((4, 4, 3, 3), np.float32), PROJECTION: np.ones((4, 4, 1, 1), np.float32)},
    )
    files.save(tmp_path / "lora.safetensors", {"lora_unet_conv_in.diff": np.ones((4, 4, 3, 3), np.float32)})
    target = tmp_path / "x.safetensors"
    done = run(
        "bake", str(tmp_path / "model.safetensors"), "--lora", f"{tmp_path}/lora.safetensors:0.25", "-o", str(target)
    )
    assert (done.exit_code, done.stdout.strip()) == (0, str(target))
    assert float(files.open(target)[NAME].mean()) == 0.25


def test_nothing_to_bake_is_2(run, tmp_path):
    files.save(tmp_path / "model.safetensors", {NAME: np.zeros((4, 4, 3, 3), np.float32)})
    done = run("bake", str(tmp_path / "model.safetensors"), "-o", str(tmp_path / "x.safetensors"))
    assert done.exit_code == 2
    assert "nothing to bake" in done.stderr
    assert json.dumps([each.name for each in tmp_path.iterdir()]) == '["model.safetensors"]'
