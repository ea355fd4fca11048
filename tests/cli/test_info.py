import json

import pytest
from PIL import Image

from pochade.generation.picture import Picture


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_the_text_goes_to_stdout(run, suffix):
    run("txt2img", "a 日本 house", "--seed", 5, "-o", f"x.{suffix}")
    done = run("info", f"x.{suffix}")
    assert done.stdout == Picture.open(f"x.{suffix}").infotext + "\n"
    assert "drawn by Pochade" in done.stderr


def test_json_has_text_parameters_and_request(run):
    run("txt2img", "a house", "--seed", 5, "-o", "x.png", "--count", 2, "--batch", 2)
    report = json.loads(run("info", "x-2.png", "--json").stdout)
    assert (report["format"], report["width"], report["index"]) == ("PNG", 64, 1)
    assert report["parameters"]["Seed"] == "6"
    assert report["request"]["prompt"] == "a house"
    assert report["infotext"].startswith("a house\nSteps: 2")


def test_a_bare_picture_is_no_error(run):
    Image.new("RGB", (8, 8)).save("bare.png")
    done = run("info", "bare.png")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "no parameters" in done.stderr
    report = json.loads(run("info", "bare.png", "--json").stdout)
    assert (report["request"], report["parameters"], report["infotext"]) == (None, {}, "")


def test_a_file_that_is_no_picture(run, tmp_path):
    (tmp_path / "x.png").write_text("no")
    done = run("info", "x.png")
    assert (done.exit_code, done.stdout) == (3, "")
    assert done.stderr.startswith("Error: x.png: this is no image")


def test_what_was_made_larger_is_told(run):
    run("txt2img", "a house", "-o", "x.png")
    run("upscale", "x.png", "-o", "large.png")
    assert "drawn by Pochade, can be redone" in run("info", "x.png").stderr
    assert "drawn by Pochade, made larger, its drawing can be redone" in run("info", "large.png").stderr


def test_text_does_not_steer_the_terminal(run):
    Picture(Image.new("RGB", (8, 8)), infotext="a \x1b[2Jcat \x9b31m\nSteps: 1").save("x.png")
    assert run("info", "x.png").stdout == "a \\x1b[2Jcat \\x9b31m\nSteps: 1\n"
    assert "\x9b" not in run("info", "x.png", "--json").stdout
