import pytest

from pochade.errors import UsageError
from pochade.prompts.matrix import Matrix, choice, has_bars


def test_every_choice_of_options_in_the_order_of_a_binary_count():
    matrix = Matrix.read("a cat | red |, sunset,")
    assert matrix.prompts() == ["a cat", "a cat, red", "a cat, sunset", "a cat, red, sunset"]
    assert matrix.prompts(" ", options_first=True) == ["a cat", "red a cat", "sunset a cat", "red sunset a cat"]


def test_options_change_across_first_and_then_down():
    matrix = Matrix.read("a|1|2|3")
    assert (matrix.across, matrix.down) == (("1", "2"), ("3",))
    assert (Matrix.read("a|1").across, Matrix.read("a|1").down) == (("1",), ())


def test_alternation_is_no_option():
    matrix = Matrix.read(r"a [red|[blue|green]] cat|sunset|a \[b|c")
    assert matrix.base == "a [red|[blue|green]] cat"
    assert matrix.options == ("sunset", r"a \[b", "c")
    assert not has_bars("[a|b] ] [c|d]")
    assert not has_bars(r"a \| b")


def test_a_choice_is_read_off_the_digits():
    assert choice(5, 4) == [True, False, True, False]


@pytest.mark.parametrize(("prompt", "sentence"), [("a cat", "no | in the prompt"), ("a" + "|b" * 13, "13 options")])
def test_what_is_no_matrix_is_said(prompt, sentence):
    with pytest.raises(UsageError) as caught:
        Matrix.read(prompt)
    assert sentence in str(caught.value)
