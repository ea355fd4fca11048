import json
from pathlib import Path

import pytest

from pochade import Request
from pochade.errors import UsageError
from pochade.generation.xyz import values
from pochade.generation.xyz.prompt_changes import reordered, replaced

VECTORS = Path(__file__).parents[2] / "vectors/webui"
READERS = {"int": values.whole_numbers, "float": values.numbers, "str": values.words, "permutations": values.orders}


def recorded(name):
    return json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))["cases"]


@pytest.mark.parametrize("case", recorded("xyz_values"), ids=lambda case: case["id"])
def test_values_are_read_as_recorded(case):
    read = READERS[case["type"]]
    if "expected_error" in case:
        with pytest.raises(UsageError):
            read(case["input"])
        return
    found = read(case["input"])
    assert json.loads(json.dumps(found)) == case["expected"]
    assert {type(each) for each in found} <= {
        {"int": int, "float": float, "str": str, "permutations": tuple}[case["type"]]
    }


@pytest.mark.parametrize("case", recorded("xyz_prompt_ops"), ids=lambda case: case["id"])
def test_prompts_change_as_recorded(case):
    if case["op"] == "order":
        assert reordered(case["prompt"], case["order"]) == case["expected"]
        return
    request = Request(case["prompt"], negative_prompt=case["negative"])
    changed = replaced(request, case["values"][0], case["value"])
    assert [changed.prompt, changed.negative_prompt] == case["expected"]


def test_blanks_may_stand_behind_a_sign():
    assert values.whole_numbers("- 2 - - 1, + 3, 1 - 2") == [-2, -1, 3, 1, 2]
    assert values.numbers("- 0.5 - 0.5 [2], - 1") == [-0.5, 0.5, -1]


def test_words_may_be_taken_out_of_a_prompt():
    assert values.replacements("red ,, blue") == ["red", "", "blue"]
    assert values.words("red ,, blue") == ["red", "blue"]


def test_switches_and_sizes():
    assert values.switches("True, false") == [True, False]
    assert values.sizes("512x768, 64 × 128") == [(512, 768), (64, 128)]


@pytest.mark.parametrize(
    ("read", "text", "sentence"),
    [
        (values.whole_numbers, "1-5 (+0)", "'1-5 (+0)' never ends, for its step is 0."),
        (values.numbers, "one", "'one' is no number and no range, such as 1-5"),
        (values.numbers, "nan", "'nan' is no number"),
        (values.whole_numbers, "1-1000000000000", "at most 10000 are possible"),
        (values.numbers, "0-1 [1000000000]", "at most 10000 are possible"),
        (values.numbers, "0-1 (+0.0000001)", "at most 10000 are possible"),
        (values.replacements, ",red", "the first of ',red' is empty; it must be words of the prompt"),
        (values.whole_numbers, "a - 5", "'a - 5' is no whole number"),
        (values.orders, "a,b,c,d,e,f,g,h,i,j", "at most 10000 are possible"),
        (values.switches, "yes", "'yes' is neither true nor false."),
        (values.sizes, "512", "The size is '512'; it must be WIDTHxHEIGHT"),
        (values.words, '"' + "a" * 200_000 + '"', "is no list with commas between"),
    ],
)
def test_what_cannot_be_read_is_said(read, text, sentence):
    with pytest.raises(UsageError) as caught:
        read(text)
    assert sentence in str(caught.value)
