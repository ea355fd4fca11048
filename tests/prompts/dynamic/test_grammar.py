import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pochade.errors import UsageError
from pochade.prompts.dynamic.grammar import Choice, Option, Setting, Variable, Wildcard, read

MARKS = st.text(alphabet="ab1 _{}|$:=!-\\[]().*\n", max_size=60)


def options(*texts):
    return tuple(Option((text,) if text else ()) for text in texts)


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("{a|b}", Choice(options("a", "b"))),
        ("{ a | b }", Choice(options("a ", "b "))),
        ("{a||}", Choice(options("a", "", ""))),
        ("{}", Choice(options(""))),
        ("{2::a|.5::b|c}", Choice((Option(("a",), 2.0), Option(("b",), 0.5), Option(("c",))))),
        ("{0::a|b}", Choice(options("b"))),
        ("{2$$a|b}", Choice(options("a", "b"), 2, 2)),
        ("{1-3$$ and $$a|b}", Choice(options("a", "b"), 1, 3, " and ")),
        ("{3-1$$a}", Choice(options("a"), 1, 3)),
        ("{-2$$a}", Choice(options("a"), 1, 2)),
        ("{0-1$$a}", Choice(options("a"), 0, 1)),
        ("{2$$|$$a|b}", Choice(options("a", "b"), 2, 2, "|")),
        ("{2$$$$3::a}", Choice((Option(("a",), 3.0),), 2, 2, "")),
        ("{x$$a|b}", Choice(options("x$$a", "b"))),
        ("{a:1|(b:1.2)}", Choice(options("a:1", "(b:1.2)"))),
        ("{[a|b]|c}", Choice(options("[a|b]", "c"))),
        ("{a] :[|b}", Choice(options("a] :[|b"))),
        (r"{a\|b|c\}}", Choice(options(r"a\|b", r"c\}"))),
        ("__colours/warm__", Wildcard("colours/warm")),
        ("__a_b*__", Wildcard("a_b*")),
        ("__颜色__", Wildcard("颜色")),
        ("__my list__", Wildcard("my list")),
        ("__a(x=1, y=b c)__", Wildcard("a", (Setting("x", ("1",), True), Setting("y", ("b c",), True)))),
        ("${x=a, b|c}", Setting("x", ("a, b|c",))),
        ("${x =! a}", Setting("x", ("a",), at_once=True)),
        ("${x?=!a}", Setting("x", ("a",), at_once=True, if_unset=True)),
        ("${ x }", Variable("x")),
        ("${x:a}", Variable("x", ("a",))),
        ("${x:}", Variable("x", ())),
    ],
)
def test_what_a_mark_means(text, node):
    assert read(text) == (node,)


def test_marks_lie_inside_of_one_another():
    inner = Choice((Option(("b",)), Option((Wildcard("c"), " d"))))
    assert read("{a|{b|__c__ d}} e") == (Choice((Option(("a",)), Option((inner,)))), " e")
    assert read("${x={a|b}}") == (Setting("x", (Choice(options("a", "b")),)),)


@pytest.mark.parametrize(
    "text",
    [
        "a cat, (red:1.2), [a|b], [a:b:0.5] AND <lora:x_y:1>, BREAK",
        "a | b } c",
        r"\{a|b\} \__x\__ \${x}",
        "__ a__",
        "__a",
        "hatsune_miku_(vocaloid), ^_^, 100% $5",
        "____",
        "",
    ],
)
def test_plain_text_stays(text):
    assert "".join(read(text)) == text


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a {b|c", r"A brace is opened and never closed at '{b|c'; close it, or write \{ for a plain one."),
        ("{a|{b}", "never closed at '{a|{b}'"),
        ("${x=a", "never closed at '${x=a'"),
        ("{0::a|0::b}", "All that '{0::' begins to choose from weighs 0"),
        ("__a(b)__", "'__a(b)__' gives 'b'; write what it gives as variable=value."),
        ("{" * 51 + "}" * 51, "More than 50 braces lie inside one another"),
    ],
)
def test_what_cannot_be_read_is_said(text, sentence):
    with pytest.raises(UsageError) as caught:
        read(text)
    assert sentence in str(caught.value)
    assert len(str(caught.value)) < 200


@given(MARKS | st.text(max_size=60))
def test_any_text_is_read_or_refused_in_a_sentence(text):
    try:
        read(text)
    except UsageError as error:
        assert str(error).endswith(".")


@given(st.text(alphabet=st.characters(exclude_characters="{}$_")))
def test_text_without_marks_is_one_node(text):
    assert "".join(read(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "{" * 30_000,
        "{}" * 30_000,
        "}" * 30_000,
        "__a" * 20_000,
        "__" + "a " * 20_000,
        "__a(" * 15_000,
        "${a" * 20_000,
        "{1$$" * 15_000,
        "|" + " " * 30_000 + "{1$$" + "|" * 30_000,
        "{" + "|1 " * 20_000 + "}",
        "\\" * 30_001,
        "_" * 30_000,
        "{" + "[" * 30_000 + "|}",
    ],
)
def test_long_texts_take_no_longer_than_they_are(text):
    begin = time.process_time()
    with suppress(UsageError):
        read(text)
    assert time.process_time() - begin < 2.0
