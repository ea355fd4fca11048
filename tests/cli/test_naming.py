"""Where pictures go, and what is never written over."""

import os
from pathlib import Path

import pytest
from PIL import Image

from pochade.generation.picture import Picture


@pytest.fixture
def house(run):
    """A picture with a mask and a control picture."""
    Image.new("RGB", (64, 64), "red").save("house.png")
    Image.new("RGB", (64, 64), "white").save("sky.png")
    Path("c.safetensors").touch()
    return Path("house.png")


@pytest.mark.parametrize("output", ["house.png", "./house.png", "sky.png", "linked.png", "hard.png"])
def test_no_input_is_written_over(run, pipeline, house, output):
    Path("linked.png").symlink_to("sky.png")
    os.link("house.png", "hard.png")
    before = Path(output).read_bytes()
    done = run("inpaint", "a", "--image", "house.png", "--mask", "sky.png", "-o", output)
    assert (done.exit_code, pipeline.loaded, Path(output).read_bytes()) == (2, None, before)
    assert done.stderr.startswith(f"Error: {Path(output)} is a picture that this begins with, which is never changed;")


def test_no_mask_in_a_folder_and_no_control_picture_is_written_over(run, pipeline, house):
    Path("masks").mkdir()
    Path("sky.png").rename("masks/house.png")
    words = ("--image", house, "--mask", "masks")
    assert run("inpaint", "a", *words, "-o", "masks/house.png").exit_code == 2
    words = ("txt2img", "a", "--control", "model=c.safetensors,image=house.png")
    assert (run(*words, "-o", "house.png").exit_code, pipeline.loaded) == (2, None)
    assert run(*words, "-o", "x.png").exit_code == 0


def test_numbered_names_are_free_ones(run, house):
    house.rename("x-1.png")
    before = Path("x-1.png").read_bytes()
    words = ("img2img", "a|b", "--matrix", "--image", "x-1.png", "-o", "x.png")
    assert run(*words).stdout.split() == ["x-2.png", "x-3.png", "x-grid.png"]
    assert run(*words).stdout.split() == ["x-4.png", "x-5.png", "x-grid-2.png"]
    assert Path("x-1.png").read_bytes() == before


def test_a_prompt_too_long_for_jpeg_is_said_before_the_drawing(run, pipeline):
    Path("list.txt").write_text("a cat\n" + "long " * 20_000)
    done = run("txt2img", "--prompts", "list.txt", "-o", "x.jpg")
    assert (done.exit_code, pipeline.loaded) == (2, None)
    assert done.stderr.startswith("Error: The prompt is too long to travel inside a JPEG file")
    assert run("txt2img", "--prompts", "list.txt", "-o", "x.webp").exit_code == 0
    done = run("redo", "x-2.webp", "-o", "x.jpg")
    assert (done.exit_code, "too long to travel" in done.stderr) == (2, True)


def test_a_prompt_that_just_fits_into_jpeg_is_drawn(run):
    assert run("txt2img", "long " * 4_000, "-o", "x.jpg").exit_code == 0
    assert Picture.open("x.jpg").request.prompt == "long " * 4_000


def test_a_side_that_the_format_cannot_hold_is_told_before_the_drawing(run, pipeline):
    words = ("txt2img", "a", "--size", "8192x64", "--hires", "2", "-o")
    done = run(*words, "x.webp")
    assert (done.exit_code, pipeline.loaded) == (2, None)
    assert "The picture would be 16384x128; a side in WEBP has 16383 pixels at most: save it as PNG." in done.stderr
