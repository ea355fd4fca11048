import pytest

from pochade.generation.parameters.lora_hashes import hash_of, hashes_of, listed, names_in, renamed

HASHES = {"ink": "1234567890ab", "night sky": "abcdef012345"}


def test_what_is_written_is_read():
    assert listed(HASHES) == "ink: 1234567890ab, night sky: abcdef012345"
    assert hashes_of(listed(HASHES)) == HASHES
    assert listed({"a,b:c": "1234567890ab"}) == "abc: 1234567890ab"


@pytest.mark.parametrize("text", ["", ",", "ink", "ink: ", "ink: none", ": 1234567890ab", "ink: 12"])
def test_what_has_no_hash_is_passed_over(text):
    assert hashes_of(text) == {}


def test_hashes_may_be_in_capitals_and_names_have_colons():
    assert hashes_of("a:b: 1234567890AB") == {"a:b": "1234567890ab"}


def test_names_of_tags():
    assert names_in("a <lora:ink:0.5> <lyco:night sky:1:0.5> <hypernet:x:1> <lora:ink:1>") == ["ink", "night sky"]


@pytest.mark.parametrize("name", ["ink", "styles/ink", "styles\\ink", "i:n,k"])
def test_a_hash_is_found_for_any_spelling(name):
    assert hash_of(name, HASHES) == "1234567890ab"
    assert hash_of("other", HASHES) == ""


def test_tags_get_other_names_and_keep_their_weights():
    prompt = "ink <lora:ink:0.5:te=1> <hypernet:ink:1> <lora:inkwell:1> <lora:ink>"
    assert renamed(prompt, {"ink": "pen"}) == "ink <lora:pen:0.5:te=1> <hypernet:ink:1> <lora:inkwell:1> <lora:pen>"
