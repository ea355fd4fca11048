import hashlib
from dataclasses import replace

import pytest

from pochade.errors import UnknownNameError
from pochade.generation.controlnet.control_unit import ControlUnit
from pochade.generation.locating import located, without_old_hashes
from pochade.generation.request import Request

DATA = bytes(1 << 20) + b"weights"


@pytest.fixture
def folder(tmp_path):
    for kind in ("Stable-diffusion", "ControlNet"):
        (tmp_path / "models" / kind).mkdir(parents=True)
        (tmp_path / "models" / kind / "other.pth").write_bytes(b"other")
        (tmp_path / "models" / kind / "renamed.pth").write_bytes(DATA)
    return tmp_path


def test_files_under_other_names_are_found_by_their_hashes(folder):
    digest = hashlib.sha256(DATA).hexdigest()[:10]
    request = Request(
        model="old.pth", model_hash=digest, controls=(ControlUnit("edges.pth", model_hash=digest, image="x.png"),)
    )
    found = located(request, [folder])
    assert found.model == str(folder / "models/Stable-diffusion/renamed.pth")
    assert found.controls[0].model == str(folder / "models/ControlNet/renamed.pth")


def test_a_hash_of_the_old_kind_finds_a_file_and_is_not_compared_with_a_new_one(folder):
    request = Request(model="old", model_hash=hashlib.sha256(b"weights").hexdigest()[:8])
    found = located(request, [folder])
    assert found.model == str(folder / "models/Stable-diffusion/renamed.pth")
    assert without_old_hashes(request, found).model_hash == ""
    other = replace(request, model_hash="12345678")
    assert without_old_hashes(other, found).model_hash == "12345678"


def test_a_hash_that_no_file_has(folder):
    with pytest.raises(UnknownNameError, match="There is no checkpoint named 'old'"):
        located(Request(model="old", model_hash="1234567890"), [folder])
