import pytest
from hypothesis import given
from hypothesis import strategies as st

from pochade.errors import UsageError
from pochade.prompts.batch_file import parse


def values(text):
    return [dict(line.values) for line in parse(text)]


def test_a_line_is_a_prompt():
    assert values("a dog\r\n  a well--known (cat:1.2), 'x  \n") == [
        {"prompt": "a dog"},
        {"prompt": "a well--known (cat:1.2), 'x"},
    ]


def test_empty_lines_and_notes_are_left_out_and_still_counted():
    lines = parse("\n# my list\n\na dog\n  # more\n--seed 5\n")
    assert [(line.number, dict(line.values)) for line in lines] == [(4, {"prompt": "a dog"}), (6, {"seed": "5"})]


def test_options_are_read_as_by_a_shell():
    line = '--prompt "a red bird" --steps 5 --seed -1 --cfg-scale 4 --negative_prompt \'a "b"\' --tiling true'
    assert values(line) == [
        {
            "prompt": "a red bird",
            "steps": "5",
            "seed": "-1",
            "cfg_scale": "4",
            "negative_prompt": 'a "b"',
            "tiling": "true",
        }
    ]


def test_prompts_swallow_the_words_behind_them():
    assert values("--prompt tree house --negative_prompt bad old --width 96") == [
        {"prompt": "tree house", "negative_prompt": "bad old", "width": "96"}
    ]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("--prompt a cat's hat", "a quote is opened and never closed"),
        ("--seed", "--seed has no value"),
        ("--seed --steps 5", "--seed has no value"),
        ("--seed 5 6", "--seed takes one value, but '6' follows"),
        ("-- a cat", "'--' names no option"),
        ("--prompt", "--prompt has no value"),
    ],
)
def test_what_cannot_be_read_is_said_with_its_line(line, sentence):
    with pytest.raises(UsageError, match=r"^Line 2: ") as caught:
        parse(f"a dog\n{line}")
    assert sentence in str(caught.value)


@given(st.text(alphabet="-ab '\"\\#\n\t\r\u2028", max_size=40))
def test_any_text_gives_lines_or_a_sentence(text):
    try:
        lines = parse(text)
    except UsageError as error:
        assert str(error).startswith("Line ")
    else:
        assert all(line.values for line in lines)
