import pytest

from pochade import Request
from pochade.errors import UnknownNameError
from pochade.generation.styling import styled
from pochade.prompts.styles import Style

KNOWN = {"ink": Style("ink", "ink drawing of {prompt}", "colour"), "old": Style("old", "1890")}


def test_styles_go_around_the_prompts_in_order_and_are_noted():
    request = styled(Request("a dog", negative_prompt="mush"), ["ink", "old"], KNOWN)
    assert (request.prompt, request.negative_prompt) == ("ink drawing of a dog, 1890", "mush, colour")
    assert request.applied_styles == ("ink", "old")
    assert styled(Request("a dog"), ["old", "ink"], KNOWN).prompt == "ink drawing of a dog, 1890"


def test_a_second_pass_has_them_too_where_it_has_prompts_of_its_own():
    own = styled(Request("a dog", hires_prompt="a wolf"), ["ink"], KNOWN)
    assert (own.hires_prompt, own.hires_negative_prompt) == ("ink drawing of a wolf", "")
    assert styled(Request("a dog"), ["ink"], KNOWN).hires_prompt == ""


def test_without_styles_nothing_changes():
    assert styled(Request(" a dog "), [], KNOWN) == Request(" a dog ")


def test_an_unknown_style_is_said():
    with pytest.raises(UnknownNameError, match="There is no style named 'inc'; did you mean ink"):
        styled(Request("a"), ["inc"], KNOWN)


def test_a_record_keeps_the_names():
    request = styled(Request("a dog"), ["ink"], KNOWN)
    assert Request.from_json(request.to_json()) == request
    assert '"applied_styles": ["ink"]' in request.to_json()
