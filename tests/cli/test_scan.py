import json
import pickle

import numpy as np

from pochade import files


class Harm:
    def __reduce__(self):
        return (eval, ("1",))


def folder(tmp_path):
    files.save(tmp_path / "a.safetensors", {"a": np.ones(3, np.float32)})
    (tmp_path / "b.pt").write_bytes(pickle.dumps(Harm(), 2))
    return tmp_path


def test_a_safe_file_is_0(run, tmp_path):
    done = run("scan", str(folder(tmp_path) / "a.safetensors"))
    assert (done.exit_code, done.stdout.split()) == (0, ["safe", str(tmp_path / "a.safetensors")])


def test_a_finding_is_1_and_says_why(run, tmp_path):
    done = run("scan", str(folder(tmp_path)))
    lines = done.stdout.splitlines()
    assert done.exit_code == 1
    assert lines[0].startswith("safe ")
    assert lines[1].startswith("malicious ")
    assert "eval" in lines[2]
    assert "no weights need" in lines[2]
    assert lines[3] == "2 files: 1 safe, 1 malicious"


def test_json_is_one_object_or_a_list(run, tmp_path):
    one = json.loads(run("scan", "--json", str(folder(tmp_path) / "b.pt")).stdout)
    assert one["verdict"] == "malicious"
    assert set(one["findings"][0]) == {"where", "what", "why"}
    assert len(json.loads(run("scan", "--json", str(tmp_path)).stdout)) == 2


def test_a_missing_file_is_3(run):
    assert run("scan", "none").exit_code == 3


def test_a_missing_file_does_not_hide_the_others(run, tmp_path):
    done = run("scan", "--json", str(folder(tmp_path) / "a.safetensors"), "none")
    found = json.loads(done.stdout)
    assert (done.exit_code, [each["verdict"] for each in found]) == (3, ["safe", "corrupt"])
    assert found[1]["path"] == "none" and "no such file" in found[1]["findings"][0]["why"]
    assert "none: there is no such file" in done.stderr
