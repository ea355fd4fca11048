import hashlib

import numpy as np
import pytest
from safetensors.numpy import save_file

from pochade.files.hashes import hashes
from pochade.generation.renaming import new_names, new_words, with_names, with_words
from pochade.generation.request import Request

REQUEST = Request("a house <lora:styles/ink:0.8>", hires_prompt="a house <lora:night:1>")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "loras").mkdir()
    return tmp_path


def lora(folder, name, number=1.0, **header):
    path = folder / "loras" / f"{name}.safetensors"
    path.parent.mkdir(exist_ok=True)
    save_file({"a": np.full(4, number, np.float32)}, path, metadata=header or None)
    return path


def test_a_file_is_known_by_any_of_its_hashes(folder):
    path = lora(folder, "pen")
    lora(folder, "other", 2.0)
    for digest in (hashes(path)["autov3"], hashes(path)["sha256"][:10]):
        assert new_names(REQUEST, {"ink": digest}, [folder]) == {"styles/ink": "pen"}


def test_a_header_may_tell_the_hash(folder):
    lora(folder, "pen", sshs_model_hash=hashlib.sha256(b"x").hexdigest())
    assert new_names(REQUEST, {"ink": hashlib.sha256(b"x").hexdigest()[:12]}, [folder]) == {"styles/ink": "pen"}


@pytest.mark.parametrize("header", [{}, {"ss_output_name": "styles/ink"}])
def test_names_that_are_there_stay(folder, header):
    path = lora(folder, "pen" if header else "styles/ink", **header)
    assert new_names(REQUEST, {"ink": hashes(path)["autov3"]}, [folder]) == {}


def test_nothing_to_go_by(folder):
    lora(folder, "pen")
    (folder / "loras" / "broken.safetensors").write_bytes(b"no")
    assert new_names(REQUEST, {}, [folder]) == {}
    assert new_names(REQUEST, {"ink": "1234567890ab"}, []) == {}
    assert new_names(REQUEST, {"ink": "1234567890ab"}, [folder]) == {}


def test_embeddings_under_other_names_are_found_by_their_hashes(folder):
    (folder / "embeddings").mkdir()
    path = folder / "embeddings" / "worse.safetensors"
    save_file({"emb_params": np.zeros((1, 768), np.float32)}, path)
    digest = hashes(path)["sha256"][:12]
    told = {"bad-hands": digest, "Worse": digest, "gone": "0" * 12}
    assert new_words(told, [folder]) == {"bad-hands": "worse"}


def test_words_for_embeddings_are_renamed_outside_of_tags():
    request = Request("ink, inked ink-pot <lora:ink:1>", "(INK:1.2)", hires_negative_prompt="ink")
    request = with_words(request, {"ink": "pen", "ink-pot": "jar"})
    assert (request.prompt, request.negative_prompt) == ("pen, inked jar <lora:ink:1>", "(pen:1.2)")
    assert request.hires_negative_prompt == "pen"


def test_tags_of_both_passes_are_renamed():
    request = with_names(REQUEST, {"styles/ink": "pen", "night": "dusk"})
    assert (request.prompt, request.hires_prompt) == ("a house <lora:pen:0.8>", "a house <lora:dusk:1>")
