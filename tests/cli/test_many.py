import json
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from pochade.cli import app
from pochade.generation.picture import Picture


def drawn(done):
    return [Picture.open(path).request for path in done.stdout.split()]


def test_every_line_of_a_file_is_drawn(run):
    Path("list.txt").write_text("a dog\n# note\n--prompt a bird --seed 9 --steps 3\n", encoding="utf-8-sig")
    done = run("txt2img", "--prompts", "list.txt", "--seed", 5, "-o", "x.png")
    assert (done.exit_code, done.stdout) == (0, "x-1.png\nx-2.png\n")
    assert [(each.prompt, each.seed, each.steps) for each in drawn(done)] == [("a dog", 5, 2), ("a bird", 9, 3)]


def test_lines_may_be_piped_in_and_put_behind_the_prompt(run):
    words = ["txt2img", "a cat", "--prompts", "-", "--prompts-at", "end", "--seeds", "next", "--seed", "5", "-o", "out"]
    done = CliRunner().invoke(app, words, input="in snow\nat nïght\n".encode())
    assert [each.prompt for each in drawn(done)] == ["a cat in snow", "a cat at nïght"]
    assert done.stdout == "out/00001-5.png\nout/00002-6.png\n"


def test_styles_in_lines_come_from_a_file(run):
    Path("styles.csv").write_text("name,prompt,negative_prompt\nink,ink drawing of {prompt},colour\n")
    Path("list.txt").write_text("--prompt a dog --styles ink --do_not_save_grid true")
    done = run("txt2img", "--prompts", "list.txt", "--styles-file", "styles.csv", "-o", "x.png")
    assert [(each.prompt, each.negative_prompt) for each in drawn(done)] == [("ink drawing of a dog", "colour")]
    assert "Note: --do_not_save_grid in the file of prompts is not followed." in done.stderr


def test_each_model_is_loaded_when_its_lines_come(run, pipeline, monkeypatch):
    for name in ("one", "two"):
        Path(f"{name}.ckpt").touch()
    loaded = []
    monkeypatch.setattr(pipeline, "load", lambda path, **options: loaded.append(path.name) or pipeline())
    lines = "--sd_model one.ckpt\n--sd_model one.ckpt\n--sd_model two.ckpt\n--sd_model one.ckpt"
    Path("list.txt").write_text(lines)
    assert run("txt2img", "a", "--prompts", "list.txt", "-o", "out").exit_code == 0
    assert loaded == ["one.ckpt", "two.ckpt", "one.ckpt"]


def test_a_matrix_is_drawn_with_its_grid(run):
    done = run("txt2img", "a house|night|snow", "--matrix", "--seed", 5, "-o", "x.png", "--margin", 2, "--json")
    report = json.loads(done.stdout)
    assert [each["path"] for each in report["pictures"]] == ["x-1.png", "x-2.png", "x-3.png", "x-4.png"]
    assert [each["path"] for each in report["grids"]] == ["x-grid.png"]
    grid = Picture.open("x-grid.png")
    assert grid.image.size == (report["grids"][0]["width"], report["grids"][0]["height"]) > (130, 130)
    assert grid.infotext == Picture.open("x-1.png").infotext
    assert Picture.open("x-4.png").request.prompt == "a house, night, snow"


def test_a_matrix_of_several_pictures_has_a_grid_for_each(run):
    words = ("txt2img", "a|b", "--matrix", "--count", 2, "--seed", 5)
    assert run(*words, "-o", "x.jpg").stdout.split() == [
        *("x-1.jpg", "x-2.jpg", "x-3.jpg", "x-4.jpg", "x-grid.png", "x-grid-2.png")
    ]
    assert run(*words, "-o", "out").stdout.split()[-2:] == ["out/00005-grid.png", "out/00006-grid.png"]
    assert len(run(*words, "-o", "other", "--no-grid").stdout.split()) == 4


def test_a_grid_that_is_too_large_is_told_and_the_pictures_stay(run, monkeypatch):
    monkeypatch.setattr("pochade.generation.pictures.grids.MOST_PIXELS", 100)
    done = run("txt2img", "a|b", "--matrix", "-o", "x.png")
    assert (done.exit_code, done.stdout.split()) == (0, ["x-1.png", "x-2.png"])
    assert "Note: The grid would be" in done.stderr


def test_a_matrix_over_a_picture(run):
    Image.new("RGB", (64, 64)).save("house.png")
    done = run("img2img", "a|b", "--matrix", "--image", "house.png", "-o", "x.png")
    assert done.stdout.split() == ["x-1.png", "x-2.png", "x-grid.png"]


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        ([], 2, "What shall be drawn? Give a PROMPT, or a file of them with --prompts FILE."),
        (["--prompts", "none.txt"], 3, "none.txt: there is no such file of prompts; check the path."),
        (["--prompts", "."], 3, ".: this is a folder; name a file with a prompt on each line."),
        (["--prompts", "bad.txt"], 3, "bad.txt: a file of prompts is text in UTF-8"),
        (["--prompts", "empty.txt"], 2, "The file holds no prompt; write one on each line."),
        (["--prompts", "wrong.txt"], 2, "Line 2: There is no option named '--stpes'; did you mean --steps"),
        (["a", "--prompts", "x", "--matrix"], 2, "--prompts and --matrix are both given"),
        (["a cat", "--matrix"], 2, "There is no | in the prompt"),
        (["a", "--margin", "0"], 2, "--margin is for --matrix; give that too, or leave it out."),
        (["a", "--joint", "comma"], 2, "--joint is for --matrix"),
        (["a", "--options-first"], 2, "--options-first is for --matrix"),
        (["a|b", "--matrix", "--styles-file", "x.csv"], 2, "--styles-file is for --style or --prompts"),
        (["a", "--prompts-at", "end"], 2, "--prompts-at is for --prompts"),
        (["a", "--seeds", "same"], 2, "--seeds is for --prompts or --matrix"),
    ],
)
def test_mistakes_are_said_before_anything_is_loaded(run, pipeline, words, code, sentence):
    Path("bad.txt").write_bytes(b"\xff\xfea\x00")
    Path("empty.txt").write_text("\n# nothing\n")
    Path("wrong.txt").write_text("a\n--stpes 5\n")
    done = run("txt2img", *words)
    assert (done.exit_code, pipeline.loaded) == (code, None)
    assert done.stderr.startswith(f"Error: {sentence}")


@pytest.mark.parametrize("command", ["txt2img", "img2img", "inpaint", "outpaint"])
def test_an_empty_prompt_is_a_prompt(run, command):
    Image.new("RGB", (64, 64)).save("house.png")
    own = {"img2img": (), "inpaint": ("--mask", "house.png"), "outpaint": ("--left", 8)}
    words = ("--image", "house.png", *own[command]) if command in own else ()
    assert run(command, "", *words, "-o", "x.png").exit_code == 0
    assert Picture.open("x.png").request.prompt == ""
    assert run(command, *words, "-o", "x.png").exit_code == 2
