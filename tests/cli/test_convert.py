import json

import numpy as np

from pochade import files


def saved(tmp_path):
    return str(files.save(tmp_path / "a.safetensors", {"a": np.ones(3, np.float32)}))


def test_the_result_is_named_on_stdout(run, tmp_path):
    target = str(tmp_path / "b.ckpt")
    done = run("convert", saved(tmp_path), target)
    assert (done.exit_code, done.stdout.strip()) == (0, target)
    assert json.loads(run("convert", saved(tmp_path), target, "--json").stdout) == {"path": target}


def test_options_reach_the_conversion(run, tmp_path):
    target = tmp_path / "b.xyz"
    assert run("convert", saved(tmp_path), str(target), "--format", "safetensors", "--dtype", "bf16").exit_code == 0
    assert files.open(target).info("a").dtype == "BF16"


def test_what_cannot_be_is_2_and_leaves_nothing(run, tmp_path):
    done = run("convert", saved(tmp_path), str(tmp_path / "b.ckpt"), "--only", "unet, vae")
    assert done.exit_code == 2
    assert "no part named 'unet'" in done.stderr
    assert [each.name for each in tmp_path.iterdir()] == ["a.safetensors"]
