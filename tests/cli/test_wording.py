"""Styles, dynamic prompts and their wildcards on the command line."""

from pathlib import Path

import pytest
from PIL import Image

from pochade.generation.picture import Picture

STYLES = "name,prompt,negative_prompt\nink,ink drawing of {prompt},colour\nold,1890,\n"


def drawn(done):
    assert done.exit_code == 0, done.stderr
    return [Picture.open(path).request for path in done.stdout.split()]


@pytest.fixture
def webui(run):
    """A folder of models with styles and wildcards in it."""
    for name, text in {"styles.csv": STYLES, "wildcards/colour.txt": "red\nblue\n"}.items():
        path = Path("webui", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Path("webui")


def test_styles_are_put_around_the_prompt_and_recorded(run, webui):
    words = ("txt2img", "a dog", "-n", "mush", "--style", "ink", "--style", "old", "--models", webui, "-o", "x.png")
    (request,) = drawn(run(*words))
    assert (request.prompt, request.negative_prompt) == ("ink drawing of a dog, 1890", "mush, colour")
    assert request.applied_styles == ("ink", "old")
    (webui / "styles.csv").unlink()
    (again,) = drawn(run("redo", "x.png", "-o", "y.png"))
    assert again == request


def test_a_styles_file_is_named_or_known_by_its_variable(run, monkeypatch):
    Path("mine.csv").write_text(STYLES)
    (request,) = drawn(run("txt2img", "a dog", "--style", "old", "--styles-file", "mine.csv", "-o", "x.png"))
    assert request.prompt == "a dog, 1890"
    monkeypatch.setenv("POCHADE_STYLES", "mine.csv")
    (request,) = drawn(run("txt2img", "a dog", "--style", "ink", "-o", "x.png"))
    assert request.prompt == "ink drawing of a dog"
    assert run("txt2img", "a dog", "-o", "x.png").exit_code == 0


def test_styles_go_around_every_prompt_but_those_with_styles_of_their_own(run, webui):
    words = ("--style", "old", "--models", webui, "-o", "out")
    assert [each.prompt for each in drawn(run("txt2img", "a|b", "--matrix", "--no-grid", *words))] == [
        *("a, 1890", "a, b, 1890"),
    ]
    Path("list.txt").write_text("a dog\n--prompt a cat --styles ink\n")
    assert [each.prompt for each in drawn(run("txt2img", "--prompts", "list.txt", *words))] == [
        *("a dog, 1890", "ink drawing of a cat"),
    ]


def test_braces_are_text_unless_they_shall_be_dynamic(run):
    (request,) = drawn(run("txt2img", "a {red|blue} __cat__", "-o", "x.png"))
    assert (request.prompt, request.prompt_template) == ("a {red|blue} __cat__", "")


def test_each_picture_has_a_choice_of_its_seed(run, webui):
    words = ("a __colour__ {cat|dog}", "--dynamic", "--models", webui)
    requests = drawn(run("txt2img", *words, "--seed", 5, "--count", 6, "-o", "out"))
    told = [(each.seed + index, each.prompt) for each in requests for index in range(each.count)]
    assert {prompt for _, prompt in told} <= {f"a {c} {t}" for c in ("red", "blue") for t in ("cat", "dog")}
    assert requests[0].prompt_template == "a __colour__ {cat|dog}"
    for seed, prompt in told:
        (alone,) = drawn(run("txt2img", *words, "--seed", seed, "-o", "one.png"))
        assert alone.prompt == prompt
    (webui / "wildcards/colour.txt").unlink()
    (again,) = drawn(run("redo", "one.png", "-o", "two.png"))
    assert again == alone


def test_combinations_come_in_turn(run):
    Path("lists").mkdir()
    Path("lists/thing.txt").write_text("cat\ndog\n")
    words = ("a {red|blue} __thing__", "--wildcards", "lists", "--seed", 5, "-o", "out")
    requests = drawn(run("txt2img", *words, "--combinations", 10))
    assert [(each.prompt, each.seed) for each in requests] == [
        *(("a red cat", 5), ("a red dog", 5), ("a blue cat", 5), ("a blue dog", 5)),
    ]
    done = run("txt2img", *words, "--combinations", 3, "--seeds", "next")
    assert [each.seed for each in drawn(done)] == [5, 6, 7]
    assert "Note: The prompt has more combinations; the first 3 are drawn." in done.stderr


def test_styles_may_hold_choices_and_lines_may_too(run, webui):
    (webui / "styles.csv").write_text("name,prompt,negative_prompt\nmood,{prompt} in {rain},\n")
    (request,) = drawn(run("txt2img", "a {dog}", "--dynamic", "--style", "mood", "--models", webui, "-o", "x.png"))
    assert (request.prompt, request.prompt_template) == ("a dog in rain", "a {dog} in {rain}")
    Path("list.txt").write_text("a {dog}\na {cat}\n")
    assert [each.prompt for each in drawn(run("txt2img", "--prompts", "list.txt", "--dynamic", "-o", "out"))] == [
        *("a dog", "a cat"),
    ]


@pytest.mark.parametrize("command", ["img2img", "inpaint", "outpaint"])
def test_pictures_are_drawn_over_with_them_too(run, webui, command):
    Image.new("RGB", (64, 64)).save("house.png")
    own = {"inpaint": ("--mask", "house.png"), "outpaint": ("--left", 8)}.get(command, ())
    words = ("a {dog}", "--image", "house.png", *own, "--style", "old", "--dynamic", "--models", webui)
    (request,) = drawn(run(command, *words, "-o", "x.png"))
    assert request.prompt == "a dog, 1890"


def test_what_several_requests_have_to_say_is_said_once(run, pipeline):
    pipeline.warning = "this model has no VAE"
    done = run("txt2img", "{a|b|c}", "--combinations", 3, "-o", "out")
    assert done.stderr.count("this model has no VAE") == 1


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["a", "--style", "inc", "--models", "webui"], 2, "There is no style named 'inc'; did you mean ink"),
        (["a", "--style", "ink"], 2, "--style names a style, but no file of styles is there; give --styles-file FILE"),
        (["a", "--style", "x", "--styles-file", "no.csv"], 3, "no.csv: there is no such file of styles"),
        (["a", "--wildcards", "webui"], 2, "--wildcards is for --dynamic or --combinations; give that too"),
        (["a", "--dynamic", "--wildcards", "none"], 2, "none: there is no such folder of wildcards"),
        (["__x__", "--dynamic"], 2, "__x__ names a wildcard, but there is no folder of them; give --wildcards DIR"),
        (
            ["__color__", "--dynamic", "--models", "webui"],
            2,
            "There is no wildcard in webui/wildcards named 'color'; did",
        ),
        (["a {b", "--dynamic"], 2, "A brace is opened and never closed at '{b'"),
        (["a|b", "--matrix", "--dynamic"], 2, "A matrix takes its prompt apart at each |"),
        (["a|b", "--matrix", "--combinations", "3"], 2, "A matrix takes its prompt apart at each |"),
    ],
)
def test_mistakes_are_said_before_anything_is_loaded(run, pipeline, webui, words, code, sentence):
    done = run("txt2img", *words)
    assert (done.exit_code, pipeline.loaded) == (code, None)
    assert done.stderr.startswith(f"Error: {sentence}")
