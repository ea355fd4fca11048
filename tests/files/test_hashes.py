import base64
import json
from pathlib import Path

import pytest

from pochade.files.hashes import hashes, tensors_hash

VECTORS = Path(__file__).parents[1] / "vectors"
CASES = json.loads((VECTORS / "webui" / "hashes.json").read_text("utf-8"))["cases"]
LORAS = json.loads((VECTORS / "training" / "lora_hashes.json").read_text("utf-8"))["cases"]
FORMULAS = {"(i*7+3) mod 256": (7, 3), "(i*13+5) mod 256": (13, 5)}


def content(case):
    if "content_base64" in case:
        return base64.b64decode(case["content_base64"])
    factor, first = FORMULAS[case["content"]["byte_i"]]
    return bytes((place * factor + first) % 256 for place in range(case["content"]["length"]))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_hashes_are_those_of_a1111(tmp_path, case):
    (tmp_path / "x").write_bytes(content(case))
    found = hashes(tmp_path / "x")
    wanted = {"sha256": case["sha256"]}
    if "autov3_addnet_sha256" in case:
        wanted["autov3"] = case["short12"]
    if "legacy8" in case:
        wanted |= {"autov1": case["legacy8"], "autov2": case["short10"]}
    assert {name: found[name] for name in wanted} == wanted


@pytest.mark.parametrize("case", [case for case in LORAS if "file_base64" in case])
def test_the_hash_of_the_numbers_is_that_of_trainers(tmp_path, case):
    (tmp_path / "x").write_bytes(base64.b64decode(case["file_base64"]))
    assert tensors_hash(tmp_path / "x") == case["sshs_model_hash"] == case["addnet_hash_of_saved"]


def test_other_files_are_hashed_whole(tmp_path):
    (tmp_path / "x").write_bytes(b"no safetensors")
    assert tensors_hash(tmp_path / "x") == hashes(tmp_path / "x")["sha256"]
