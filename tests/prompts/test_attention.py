import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pochade.prompts import attention

from .vectors import cases, name

BRACKETS = st.text(alphabet="ab ()[]:\\.,1-+\nBREAK", max_size=60)


@pytest.mark.parametrize("case", cases("webui/prompt_attention"), ids=name)
def test_recorded_weights(case):
    if "expected_error" in case:
        # The reference raises on numbers such as 1.2.3; here they are text.
        assert all(weight in (1.0, attention.MORE) for _, weight in attention.parse(case["input"]))
        return
    pieces = attention.parse(case["input"])
    assert [text for text, _ in pieces] == [text for text, _ in case["expected"]]
    assert [weight for _, weight in pieces] == pytest.approx([weight for _, weight in case["expected"]], rel=1e-9)


def test_a_number_that_is_none_is_text():
    assert attention.parse("(a:1.2.3)") == [("a:1.2.3", 1.1)]
    assert attention.parse("(a:.)") == [("a:.", 1.1)]


def test_weights_multiply_to_the_bit():
    assert attention.parse("(((sky)))") == [("sky", 1.3310000000000004)]
    assert attention.parse("((((sky))))") == [("sky", 1.4641000000000006)]


def test_a_break_in_brackets_is_text():
    assert ("BREAK", -1.1) in attention.parse("(a BREAK b)")


@given(st.text() | BRACKETS)
def test_pieces_are_merged_and_finite(text):
    pieces = attention.parse(text)
    assert pieces
    assert all(abs(weight) < float("inf") for _, weight in pieces)
    assert all(first[1] != second[1] for first, second in pairwise(pieces))


@given(st.text(alphabet=st.characters(exclude_characters="()[]:\\")).filter(lambda text: "BREAK" not in text))
def test_text_without_marks_is_one_piece(text):
    assert attention.parse(text) == [(text, 1.0)]


@given(st.text(alphabet="abc ,.日", min_size=1), st.decimals("-3", "3", places=2))
def test_escaping_and_weighting_keep_the_text(text, weight):
    assert attention.parse(f"\\({text}\\)") == [(f"({text})", 1.0)]
    assert attention.parse(f"({text}:{weight})") == [(text, float(weight))]


@pytest.mark.parametrize(
    "text",
    [
        "(" * 10000,
        "[(" * 3000 + "a" + ")]" * 3000,
        ":" * 10000,
        "(a" * 15000,
        "[a" * 15000 + "]" * 15000,
        "(a:1" * 5000 + ":1)" * 5000,
    ],
)
def test_deep_nesting_is_fast(text):
    begin = time.process_time()
    attention.parse(text)
    assert time.process_time() - begin < 4.0


def test_brackets_far_too_deep_are_read_but_weigh_nothing():
    depth = 1500
    pieces = attention.parse("[" * depth + "a" + "]" * depth + "b")
    assert [text for text, _ in pieces] == ["a", "b"]
    assert pieces[0][1] == pytest.approx(attention.LESS**1000)
    assert pieces[1][1] == 1.0
