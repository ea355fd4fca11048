"""LoRAs are found by the names that people and pictures use."""

import numpy as np
import pytest

from pochade import files
from pochade.errors import MissingFileError, UnknownNameError, UsageError
from pochade.files.hashes import tensors_hash
from pochade.generation.extra_networks.lora_files import LoraFiles, facts_of, lora_hash


@pytest.fixture
def lora(tmp_path):
    """Save one in the folder of LoRAs."""

    def saved(name, number=0.0, **metadata):
        path = tmp_path / "models" / "Lora" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        tensors = {"lora_unet_x.lora_down.weight": np.full((1, 2), number, np.float32)}
        return files.save(path, tensors, metadata)

    return saved


@pytest.fixture
def found(tmp_path):
    return LoraFiles([tmp_path])


def test_a_tag_names_the_file(lora, found):
    path = lora("style/fox.safetensors")
    assert found.find("fox") == path
    assert found.find("hare") is None


def test_what_the_trainer_called_it_is_an_alias(lora, found):
    path = lora("fox.safetensors", ss_output_name="my_fox")
    assert found.find("my_fox") == path


def test_a_file_s_own_name_goes_before_an_alias(lora, found):
    lora("a.safetensors", ss_output_name="fox")
    path = lora("fox.safetensors", ss_output_name="other")
    assert found.find("fox") == path


def test_an_alias_of_two_files_is_none(lora, found):
    lora("a.safetensors", ss_output_name="fox")
    lora("b.safetensors", ss_output_name="fox")
    lora("c.safetensors", ss_output_name="None")
    assert (found.find("fox"), found.find("None")) == (None, None)


@pytest.mark.parametrize("name", ["FOX", " fox", "style/fox", "style\\Fox", "fox.safetensors", "style/fox.safetensors"])
def test_other_spellings_are_understood(name, lora, found):
    path = lora("style/fox.safetensors")
    assert found.find(name) == path


def test_of_several_with_a_name_it_is_the_last_or_the_one_with_the_hash(lora, found):
    first, last = lora("a/fox.safetensors", 1), lora("b/fox.safetensors", 2)
    assert found.find("fox") == last
    assert found.find("fox", lora_hash(first)) == first
    assert found.find("b/fox") == last


def test_a_renamed_one_is_found_by_its_hash(lora, found):
    path = lora("renamed.safetensors", 1)
    lora("another.safetensors", 2)
    assert found.find("fox", tensors_hash(path)[:12].upper()) == path
    assert found.find("fox", "0" * 12) is None
    assert found.find("fox") is None


def test_the_hash_is_that_which_the_file_states(lora):
    assert lora_hash(lora("a.safetensors", sshs_model_hash="ABCDEF0123456789")) == "abcdef012345"
    path = lora("b.safetensors", 1)
    assert lora_hash(path) == tensors_hash(path)[:12]


def test_a_file_that_changed_is_read_anew(lora, found):
    lora("a.safetensors", ss_output_name="fox")
    assert found.find("fox")
    lora("a.safetensors", ss_output_name="a hare")
    assert found.find("fox") is None


def test_broken_files_are_in_nobody_s_way(lora, found, tmp_path):
    path = lora("a.safetensors", ss_output_name="fox")
    broken = tmp_path / "models" / "Lora" / "b.safetensors"
    broken.write_bytes(b"nothing")
    assert (found.find("fox"), facts_of(broken)) == (path, ("", ""))


def test_a_path_is_a_name_too_and_what_is_not_there_is_told(lora, found, tmp_path):
    path = lora("fox.safetensors")
    assert LoraFiles([]).path_of(str(path)) == path
    assert found.path_of("fox") == path
    with pytest.raises(UnknownNameError, match="There is no lora named 'fix'; did you mean fox"):
        found.path_of("fix")
    with pytest.raises(MissingFileError):
        found.path_of(str(tmp_path / "none.safetensors"))
    with pytest.raises(UsageError, match="no folder to look in"):
        LoraFiles([]).path_of("fox")
