import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pochade.prompts.composition import split

from .vectors import cases, name


@pytest.mark.parametrize("case", cases("webui/multicond_and"), ids=name)
def test_recorded_parts(case):
    assert [list(part) for part in split(case["prompt"])] == case["expected"]


def test_and_is_a_whole_word():
    assert len(split("x-AND-y")) == 2
    assert len(split("x AND_y")) == 1


@given(st.text() | st.text(alphabet="a :1.-+ AND\n"))
def test_any_text_splits_into_finite_parts(text):
    parts = split(text)
    assert parts
    assert all(abs(weight) < float("inf") for _, weight in parts)


@pytest.mark.parametrize("text", [" " * 20000 + "a", ": " * 10000 + "a", ":" + "1" * 20000 + "a", "a\n" * 10000])
def test_long_text_is_fast(text):
    begin = time.process_time()
    split(text)
    assert time.process_time() - begin < 1.0
