import json

import numpy as np

from pochade import files


def test_what_is_wrong_is_told_with_its_cure(run, tmp_path):
    path = files.save(tmp_path / "vae.safetensors", {"encoder.conv_in.weight": np.full((2, 2), np.nan, np.float32)})
    done = run("doctor", str(path))
    assert done.exit_code == 1
    assert "vae-broken: 1 tensors hold NaN" in done.stdout
    assert "Mend it: pochade bake" in done.stdout
    assert run("doctor", "--fast", str(path)).exit_code == 0


def test_json(run, tmp_path):
    path = files.save(tmp_path / "vae.safetensors", {"encoder.conv_in.weight": np.ones((2, 2), np.float32)})
    found = json.loads(run("doctor", "--json", str(path)).stdout)
    assert found == {"path": str(path), "what": "vae", "problems": []}


def test_a_missing_file_is_3(run):
    assert run("doctor", "none.safetensors").exit_code == 3
