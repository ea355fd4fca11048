import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pochade.prompts.schedule import active, schedule

from .vectors import cases, name

MARKS = st.text(alphabet="ab []()|:\\15.-e\n", max_size=40)


def calls(case):
    """Two model calls per step, except for the last step, in samplers of second order."""
    return range(2 * case["steps"] - 1 if case["second_order_sampler"] else case["steps"])


@pytest.mark.parametrize("case", cases("webui/prompt_schedule"), ids=name)
def test_recorded_schedules(case):
    entries = schedule(case["prompt"], case["steps"], case["hires_steps"], case["old_scheduling"])
    assert [list(entry) for entry in entries] == case["expected"]


@pytest.mark.parametrize("case", cases("webui/prompt_active"), ids=name)
def test_recorded_text_at_each_call(case):
    entries = schedule(case["prompt"], case["steps"] * (2 if case["second_order_sampler"] else 1))
    assert [list(entry) for entry in entries] == case["schedule"]
    assert [active(entries, call) for call in calls(case)] == case["expected_text_per_model_call"]


# Found by comparing with the reference's grammar under many hash seeds; in each all seeds agreed.
@pytest.mark.parametrize(
    ("prompt", "texts"),
    [
        ("[[:2]", {2: "[", 4: "["}),
        (":[x :2]", {2: ":", 4: ":x "}),
        ("[ :0.]2]", {4: " 2]"}),
        ("][1|| ]", {1: "]1", 2: "]", 3: "] ", 4: "]1"}),
        (")[x :.5]", {2: ")", 4: ")x "}),
        ("[:1]b].5", {1: "b].5", 4: "b].5"}),
        ("[a:b] [c:d:2]", {2: "[a:b] c", 4: "[a:b] d"}),
        ("a | [b:c:2]", {4: "a | [b:c:2]"}),
        ("(a|b) [b:c:2]", {4: "(a|b) [b:c:2]"}),
        ("[a:b:2] \\", {4: "[a:b:2] \\"}),
        ("[a:b:1e0]", {1: "a", 4: "b"}),
        ("[a:b:-1]", {4: "b"}),
        ("[x:(a:b:c):2]", {4: "[x:(a:b:c):2]"}),
        ("[[a:b:1]|c]", {1: "a", 2: "c", 3: "b", 4: "c"}),
    ],
)
def test_readings_of_the_grammar(prompt, texts):
    assert dict(schedule(prompt, 4)) == texts


def test_the_second_pass_goes_on_counting():
    assert schedule("[a:b:12]", 10, 20) == [(2, "a"), (20, "b")]
    assert schedule("[a:b:1.5]", 10, 20) == [(10, "a"), (20, "b")]
    assert schedule("[a:b:1.5]", 10) == [(10, "a")]
    assert schedule("[a:b:12]", 20, 10, old=True) == [(12, "a"), (20, "b")]


def test_numbers_beyond_all_bounds_are_kept_within_the_run():
    assert schedule("[a:b:1e999]", 5) == [(5, "a")]
    assert schedule("[a:b:-1e999]", 5) == [(5, "b")]


def test_calls_beyond_the_schedule_use_its_first_text():
    entries = schedule("[a:b:2]", 4)
    assert [active(entries, call) for call in range(6)] == ["a", "a", "a", "b", "b", "a"]


@given(st.text() | MARKS, st.integers(1, 30), st.none() | st.integers(1, 30), st.booleans())
def test_any_text_has_a_schedule(text, steps, hires_steps, old):
    ends = [end for end, _ in schedule(text, steps, hires_steps, old)]
    assert ends == sorted(set(ends))
    assert ends[-1] == (steps if hires_steps is None or old else hires_steps)
    assert ends[0] >= 1


@given(st.text(alphabet=st.characters(exclude_characters="[]|")))
def test_text_without_square_brackets_is_kept(text):
    assert schedule(text, 20) == [(20, text)]


@pytest.mark.parametrize(
    "text",
    [
        "[" * 10000,
        "]" * 10000,
        "[" * 3000 + "a" + "]" * 3000,
        "[" * 3000 + "a" + "|b]" * 2000,
        "[" * 1500 + "a" + ":b:1]" * 1500,
        "[a|" * 3000 + "]" * 3000,
        "((a:b)" * 1500,
        "[a:" * 3000,
        "\\" * 9999,
    ],
)
def test_deep_nesting_is_fast(text):
    begin = time.process_time()
    schedule(text, 20)
    assert time.process_time() - begin < 1.0
