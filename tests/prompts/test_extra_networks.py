import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pochade.prompts.extra_networks import Tag, extract

from .vectors import cases, name


@pytest.mark.parametrize("case", cases("webui/extra_networks"), ids=name)
def test_recorded_tags(case):
    text, tags = extract(case["prompt"])
    found = [
        {"type": tag.kind, "items": list(tag.items), "positional": list(tag.positional), "named": tag.named}
        for tag in tags
    ]
    assert text == case["expected_text"]
    assert found == case["expected"]


def test_kinds_are_grouped_in_order_of_first_use():
    _, tags = extract("<lora:a:1><hypernet:h:1> x <lora:b:1>")
    assert [(tag.kind, tag.items[0]) for tag in tags] == [("lora", "a"), ("lora", "b"), ("hypernet", "h")]


@given(st.text(alphabet="ab<>:=, \n"))
def test_what_is_left_is_part_of_the_text(text):
    left, tags = extract(text)
    assert len(left) + sum(len(tag.kind) + 2 + sum(len(item) + 1 for item in tag.items) for tag in tags) == len(text)


def test_tags_that_are_never_closed_are_text_and_fast():
    text = "<a:" * 20_000
    begin = time.process_time()
    assert extract(text) == (text, [])
    assert time.process_time() - begin < 1.0
    assert extract("<a:b> <c:d") == (" <c:d", [Tag("a", ("b",))])
