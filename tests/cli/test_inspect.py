import json

import pytest

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

    def inspect(path, hashes=False):
        calls.append((str(path), hashes))
        return REPORT | {"path": str(path)} | ({"hashes": {"sha256": "ab12"}} if hashes else {})

    monkeypatch.setattr("pochade.operations.inspect", inspect)
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
