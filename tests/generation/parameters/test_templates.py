import pytest

from pochade.generation.parameters.fields import describe, recall
from pochade.generation.parameters.infotext import read
from pochade.generation.request import Request

LINE = "Steps: 20, Sampler: Euler a, CFG scale: 7.0, Seed: 5, Size: 512x512"
REQUEST = Request(
    "a red cat",
    negative_prompt="fog",
    prompt_template='a {red|blue}\n"cat"',
    negative_template="{fog|mush}, x",
    steps=20,
    sampler="Euler",
    schedule="Automatic",
    seed=5,
    width=512,
    height=512,
)


def test_templates_travel_among_the_parameters():
    text = describe(REQUEST)
    assert 'Template: "a {red|blue}\\n\\"cat\\"", Negative Template: "{fog|mush}, x", Version: ' in text
    recalled = recall(text)
    assert (recalled.request.prompt_template, recalled.request.negative_template) == (
        REQUEST.prompt_template,
        REQUEST.negative_template,
    )
    assert recalled.ignored == ()
    assert "Template" not in describe(Request("a", steps=20, seed=1))


@pytest.mark.parametrize(
    ("behind", "templates"),
    [
        ("\nTemplate: a {red|blue} cat", ("a {red|blue} cat", "")),
        ("\nTemplate: a {red|blue}\n cat\nNegative Template: {fog\n|mush}", ("a {red|blue}\n cat", "{fog\n|mush}")),
        ("\nNegative Template: {fog|mush}", ("", "{fog|mush}")),
    ],
)
def test_templates_in_lines_behind_the_parameters_are_read(behind, templates):
    request = recall(f"a red cat\nNegative prompt: fog\n{LINE}{behind}").request
    assert (request.prompt, request.negative_prompt, request.steps, request.seed) == ("a red cat", "fog", 20, 5)
    assert (request.prompt_template, request.negative_template) == templates


def test_words_of_a_prompt_are_no_template():
    text = f"a page\nTemplate: letter\nNegative prompt: x\n{LINE}"
    assert read(text)[0] == "a page\nTemplate: letter"
    assert read("Template: letter")[0] == "Template: letter"
