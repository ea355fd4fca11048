import json

import pytest

from pochade.generation.foreign.values import known, number, rows, stem, table, word


@pytest.mark.parametrize("text", ["", "no", "[1]", "{", '{"a":' * 5000, "{" + "9" * 5000, None, 5])
def test_what_is_no_table_is_an_empty_one(text):
    assert table(text) == {}


@pytest.mark.parametrize(
    ("value", "text"),
    [(7.0, "7"), (7.25, "7.25"), (2**63, str(2**63)), (1e300, f"{1e300:.0f}"), (True, ""), (None, ""), ([], ""),
     ("a", "a"), (float("nan"), ""), (float("inf"), "")],
)  # fmt: skip
def test_plain_values_are_words(value, text):
    assert word(value) == text


def test_numbers_in_texts():
    assert [number(each) for each in ("7.5", 3, "x", None, "inf")] == [7.5, 3.0, 0.0, 0.0, 0.0]
    assert rows(table('{"a": [1]}')["a"]) == [1]
    assert rows("ab") == []


@pytest.mark.parametrize(
    ("path", "name"), [("a\\b/ink.v2.safetensors", "ink.v2"), ("ink.v2", "ink.v2"), ("x.CKPT", "x"), ("", "")]
)
def test_names_of_models(path, name):
    assert stem(path) == name


def test_only_the_size_is_parted():
    assert known({"Size": "64x96", "Model": "4x4", "Seed": None}) == {"Size-1": "64", "Size-2": "96", "Model": "4x4"}
    assert json.dumps(known({"Steps": 20})) == '{"Steps": "20"}'
