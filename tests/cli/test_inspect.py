import json

import numpy as np
import pytest

from pochade import files

from ..families.manifests import narrow, shapes

REPORT = {
    "path": "a.safetensors", "format": "safetensors", "kind": "checkpoint", "family": "sd1", "variant": "base",
    "prediction": "epsilon", "components": ["unet", "vae"], "missing": ["text-encoder"], "ema": "both",
    "dtypes": {"F16": 750, "F32": 250}, "parameters": 1000, "bytes": 2_500_000, "junk": {"keys": 2, "bytes": 500},
    "problems": [{"code": "junk", "message": "2 tensors are of no use.", "fix": "pochade convert"}], "metadata": {},
    "trigger_words": [],
}  # fmt: skip


@pytest.fixture
def asked(monkeypatch):
    calls = []

    def inspect(path, hashes=False, deep=False):
        calls.append((str(path), hashes))
        return REPORT | {"path": str(path)} | ({"hashes": {"sha256": "ab12"}} if hashes else {})

    monkeypatch.setattr("pochade.operations.inspect.inspect", inspect)
    return calls


def test_a_card_for_people(run, asked):
    assert run("inspect", "a.safetensors", "--hash").stdout.splitlines() == [
        "a.safetensors",
        "  kind          checkpoint (safetensors), family sd1, variant base, prediction epsilon",
        "  components    unet, vae",
        "  missing       text-encoder",
        "  parameters    1,000",
        "  precision     F16 75 %, F32 25 %",
        "  size          2.5 MB",
        "  ema           both",
        "  junk          2 tensors, 500 bytes",
        "  sha256        ab12",
        "  problem       junk: 2 tensors are of no use. Fix: pochade convert",
    ]
    assert asked == [("a.safetensors", True)]


def test_json_is_one_object_or_a_list(run, asked):
    assert json.loads(run("inspect", "a", "--json").stdout)["path"] == "a"
    assert [each["path"] for each in json.loads(run("inspect", "b", "a", "--json").stdout)] == ["b", "a"]
    assert asked == [("a", False), ("b", False), ("a", False)]


def test_a_missing_file_is_3(run):
    done = run("inspect", "none.safetensors")
    assert (done.exit_code, done.stdout) == (3, "")
    assert done.stderr.startswith("Error: none.safetensors: ")


@pytest.fixture
def good_and_bad(tmp_path):
    good = files.save(tmp_path / "good.safetensors", {"x": np.ones(3, np.float32)})
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(good.read_bytes()[:-4])
    return cut, good, tmp_path / "none.ckpt"


def test_bad_files_hide_no_good_ones(run, good_and_bad):
    cut, good, missing = good_and_bad
    done = run("inspect", cut, good, missing)
    assert done.exit_code == 3
    assert done.stdout.splitlines()[0] == str(good)
    first, second = done.stderr.splitlines()
    assert first.startswith(f"Error: {cut}: ") and "is cut" in first
    assert second.startswith(f"Error: {missing}: there is no such file")


def test_json_has_an_object_for_every_path(run, good_and_bad):
    done = run("inspect", *good_and_bad, "--json")
    reports = json.loads(done.stdout)
    assert done.exit_code == 3 and done.stderr.count("Error: ") == 2
    assert [each["path"] for each in reports] == [str(each) for each in good_and_bad]
    assert [[found["code"] for found in each["problems"]] for each in reports] == [["truncated"], [], ["missing"]]
    assert [(each["kind"], each["format"]) for each in reports] == [
        ("unknown", None), ("unknown", "safetensors"), ("unknown", None),
    ]  # fmt: skip
    assert {*map(tuple, reports)} == {tuple(reports[0])}
    assert set(reports[0]["problems"][0]) == {"code", "message", "fix"}
    assert reports[0]["bytes"] == good_and_bad[0].stat().st_size and reports[2]["bytes"] == 0


def test_one_bad_file_is_one_object(run, good_and_bad):
    done = run("inspect", good_and_bad[0], "--json", "--hash", "--deep")
    assert (done.exit_code, json.loads(done.stdout)["problems"][0]["code"]) == (3, "truncated")


def test_deep_reads_the_numbers(run, tmp_path):
    path = files.save(tmp_path / "vae.safetensors", {"decoder.conv_in.weight": np.full((2, 2), np.inf, np.float32)})
    assert "problem" not in run("inspect", path).stdout
    done = run("inspect", path, "--deep")
    assert done.exit_code == 0
    assert "nan-or-inf: There is NaN or infinity in vae: decoder.conv_in.weight." in done.stdout
    assert "vae-broken: " in done.stdout


def test_what_cannot_be_decided_says_so(run, tmp_path):
    lora = files.save(tmp_path / "lora.safetensors", {"x.lora_down.weight": np.ones((4, 8), np.float32)})
    assert "kind          lora (safetensors), family unknown, algorithm lora" in run("inspect", lora).stdout
    sizes = narrow(shapes("sd2-base.ldm"), 4)
    model = files.save(tmp_path / "a.safetensors", {name: np.ones(size, np.float16) for name, size in sizes.items()})
    assert "family sd2, variant base, prediction unknown" in run("inspect", model).stdout
