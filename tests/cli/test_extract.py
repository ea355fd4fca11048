import numpy as np

from pochade import files

VAE = {"first_stage_model.encoder.conv_in.weight": np.ones((4, 3, 3, 3), np.float32)}
UNET = {"model.diffusion_model.input_blocks.1.1.proj_in.weight": np.ones((4, 4, 1, 1), np.float32)}


def test_a_part_is_taken_out(run, tmp_path):
    source = files.save(tmp_path / "model.safetensors", VAE | UNET)
    done = run("extract", str(source), "--part", "vae", "-o", str(tmp_path / "vae.safetensors"))
    assert (done.exit_code, done.stdout.strip()) == (0, str(tmp_path / "vae.safetensors"))
    assert list(files.open(tmp_path / "vae.safetensors")) == ["encoder.conv_in.weight"]


def test_a_difference_is_taken_out(run, tmp_path):
    base = files.save(tmp_path / "base.safetensors", VAE | UNET)
    tuned = files.save(tmp_path / "tuned.safetensors", VAE | {name: each * 2 for name, each in UNET.items()})
    target = tmp_path / "lora.safetensors"
    done = run("extract", str(base), str(tuned), "--rank", "1", "-o", str(target))
    assert done.exit_code == 0
    assert "1 modules; 0.0 %" in done.stderr
    assert len(files.open(target)) == 3


def test_one_or_the_other(run, tmp_path):
    done = run("extract", "a", "-o", "x")
    assert done.exit_code == 2
    assert "--part NAME, or a base and a tuned model" in done.stderr
