from collections import Counter
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pochade.errors import UsageError
from pochade.prompts.dynamic import Wildcards, by_lot, every
from pochade.prompts.dynamic.wildcards import Value

LISTS = {
    "colour": ["red", "2::blue", "{light|dark} green"],
    "thing": ["__colour__ ball", "cube"],
    "clothes": ["${season} coat, ${season} hat"],
    "a": ["__b__ x"],
    "b": ["__a__ y"],
    "broken": ["red", "{blue"],
    "twice": ["__more____more__"],
    "more": ["__most____most__" * 8],
    "most": ["word " * 100] * 2,
    **{f"chain{number}": [f"{{__chain{number + 1}__ x|y}}"] for number in range(500)},
}


class Lists:
    def values(self, name):
        return [Value.of(name, text, f"{name}.txt, line {line}") for line, text in enumerate(LISTS[name], 1)]


def all_of(*texts):
    return [found if len(texts) > 1 else found[0] for found in islice(every(texts, Lists()), 50)]


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("a cat", ["a cat"]),
        ("a {red|blue} {cat|dog}", ["a red cat", "a red dog", "a blue cat", "a blue dog"]),
        ("{a|{b|c} d}", ["a", "b d", "c d"]),
        ("{2$$a|b|c}", ["a, b", "a, c", "b, a", "b, c", "c, a", "c, b"]),
        ("{1-2$$ and $$a|b}", ["a", "b", "a and b", "b and a"]),
        ("{0-1$$a|b}", ["", "a", "b"]),
        ("{5$$a|b}", ["a, b", "b, a"]),
        ("{-$$a|b}", ["a", "b", "a, b", "b, a"]),
        ("__colour__", ["red", "blue", "light green", "dark green"]),
        ("__thing__", ["red ball", "blue ball", "light green ball", "dark green ball", "cube"]),
        ("{2$$__thing__}", [f"{colour} ball, cube" for colour in ("red", "blue", "light green", "dark green")]
         + [f"cube, {colour} ball" for colour in ("red", "blue", "light green", "dark green")]),
        ("{__colour__|grey}", ["red", "blue", "light green", "dark green", "grey"]),
        ("${x=!{a|b}}${x} ${x}", ["a a", "b b"]),
        ("${x={a|b}}${x} ${x}", ["a a", "a b", "b a", "b b"]),
        ("${x=a}${x=b}${x}", ["b"]),
        ("${x=a}${x?=b}${x}", ["a"]),
        ("${x?=b}${x}", ["b"]),
        ("${x:{a|b}} c", ["a c", "b c"]),
        ("${season=winter}__clothes__", ["winter coat, winter hat"]),
        ("__clothes(season={winter|summer})__", ["winter coat, winter hat", "summer coat, summer hat"]),
        ("${season=old}__clothes(season=new)__ ${season}", ["new coat, new hat old"]),
        ("a {b|c} # {d|e\nf", ["a b \nf", "a c \nf"]),
        (r"\{a|b\} {c}", [r"\{a|b\} c"]),
    ],
)  # fmt: skip
def test_every_way_in_turn(text, written):
    assert all_of(text) == written


def test_variables_are_known_in_the_texts_behind():
    assert all_of("${x=!{a|b}}${x}", "no ${x}{!|?}") == [("a", "no a!"), ("a", "no a?"), ("b", "no b!"), ("b", "no b?")]


def test_a_seed_always_chooses_the_same():
    template = "a {red|blue|green} {1-2$$cat|dog|bird} by __thing__, {0.2::old|new}"
    texts = [by_lot([template], Lists(), seed)[0] for seed in (7, 8, 4294967293)]
    assert texts == [by_lot([template], Lists(), seed)[0] for seed in (7, 8, 4294967293)]
    assert texts == [
        "a red dog by blue ball, new",
        "a red cat, bird by red ball, new",
        "a green bird, cat by red ball, old",
    ]


def test_what_weighs_more_comes_more_often():
    found = Counter(by_lot(["{3::a|b|0::c}"], Lists(), seed)[0] for seed in range(2000))
    assert set(found) == {"a", "b"}
    assert 2.5 < found["a"] / found["b"] < 3.5


def test_several_are_never_the_same():
    for seed in range(50):
        assert len(set(by_lot(["{3$$a|b|c|d}"], Lists(), seed)[0].split(", "))) == 3


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("${x}", "The variable x is used before it has a value; put ${x=...} before it, or ${x:...}."),
        ("__a__", "__a__ leads back to itself (__a__ → __b__ → __a__); take one of them out."),
        ("${x=${y}}${y=${x}}${x}", "${x} leads back to itself (${x} → ${y} → ${x})"),
        ("__broken__", "broken.txt, line 2: A brace is opened and never closed at '{blue'"),
        ("__chain0__", "More than 100 of the prompt's choices and wildcards lie inside one another."),
        ("{__twice__}" * 10, "More than 100,000 letters would come of the prompt's choices"),
    ],
)
def test_what_cannot_be_written_is_said(text, sentence):
    with pytest.raises(UsageError) as caught:
        list(islice(every([text], Lists()), 50))
    assert sentence in str(caught.value)


@given(st.text(alphabet="ab{}|$:=!2-_ \\", max_size=40), st.integers(0, 2**63 - 1))
def test_any_template_is_written_or_refused_in_a_sentence(text, seed):
    try:
        first = by_lot([text], Wildcards(), seed)
    except UsageError as error:
        assert str(error).endswith(".")
    else:
        assert by_lot([text], Wildcards(), seed) == first


@given(st.text(alphabet=st.characters(exclude_characters="{}$_#")), st.integers(0, 2**63 - 1))
def test_plain_text_is_itself(text, seed):
    assert by_lot([text], Wildcards(), seed) == (text,)
    assert list(every([text], Wildcards())) == [(text,)]
