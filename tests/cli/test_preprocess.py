import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pochade.preprocessors import preprocess
from pochade.preprocessors.resizing import at_resolution
from tests.networks.annotators.published import hed, line_drawing, saved, state_of


@pytest.fixture
def house(run):
    small = np.random.default_rng(1).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    image = Image.fromarray(small).resize((140, 100), Image.Resampling.BICUBIC)
    image.save("house.png")
    return np.array(image)


def test_the_hint_is_saved(run, house):
    done = run("preprocess", "canny", "house.png", "--threshold-a", 30, "--resolution", 80, "-o", "new/edges.png")
    assert (done.exit_code, done.stdout) == (0, "new/edges.png\n")
    wanted = preprocess("canny", at_resolution(house, 80), low=30)
    assert np.array_equal(np.array(Image.open("new/edges.png")), wanted)


def test_the_hint_may_have_the_size_of_the_drawn_picture(run, house):
    done = run("preprocess", "invert", "house.png", "--size", "64x96", "-o", "x.webp", "--json")
    assert json.loads(done.stdout) == {"path": "x.webp", "width": 64, "height": 96}
    with Image.open("x.webp") as hint:
        assert hint.size == (64, 96)


def test_holes_are_black(run, house):
    mask = Image.new("L", (140, 100))
    mask.paste(255, (0, 0, 70, 100))
    mask.save("mask.png")
    assert run("preprocess", "inpaint", "house.png", "--mask", "mask.png", "-o", "x.png").exit_code == 0
    found = np.array(Image.open("x.png"))
    assert (found[:, :70] == 0).all()
    assert np.array_equal(found[:, 70:], house[:, 70:])


def test_a_preprocessor_looks_with_a_network(run, house):
    path = saved(state_of(hed(4)), Path("ControlNetHED.safetensors"))
    words = ("preprocess", "hed", "house.png", "--resolution", "64", "-o")
    assert run(*words, "x.png", "--weights", path).exit_code == 0
    found = np.array(Image.open("x.png"))
    assert found.shape == (64, 90, 3) and found.std() > 0
    Path("models").mkdir()
    path.rename("models/ControlNetHED.safetensors")
    assert run(*words, "y.png", "--models", "models").exit_code == 0
    np.testing.assert_array_equal(np.array(Image.open("y.png")), found)
    done = run(*words, "z.png")
    assert (done.exit_code, "get ControlNetHED.pth from https://" in done.stderr) == (2, True)


def test_a_file_of_another_network_is_told(run, house):
    saved(state_of(line_drawing(4)), Path("lines.pth"))
    done = run("preprocess", "hed", "house.png", "-o", "x.png", "--weights", "lines.pth")
    assert done.exit_code == 3
    assert done.stderr.startswith("Error: lines.pth: is not what this preprocessor looks with")


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["cany", "house.png", "-o", "x.png"], 2, "There is no preprocessor named 'cany'; did you mean canny?"),
        (["densepose", "house.png", "-o", "x.png"], 2, "The preprocessor 'densepose' is a network of its own"),
        (["hed", "house.png", "-o", "x.png"], 2, "The preprocessor 'hed' is a network with weights of its own: get"),
        (["hed", "house.png", "-o", "x.png", "--weights", "a.pth"], 3, "a.pth: there is no such file with a"),
        (["canny", "house.png", "-o", "x.png", "--weights", "a.pth"], 2, "annotator has no use; the preprocessor"),
        (["canny", "none.png", "-o", "x.png"], 3, "none.png: there is no such image file; check the path."),
        (["canny", "house.png", "-o", "x.bmp"], 2, "x.bmp: .bmp names no image format"),
        (["canny", "house.png", "-o", "house.png"], 2, "house.png is a picture that this begins with"),
        (["invert", "house.png", "-o", "x.png", "--threshold-a", "3"], 2, "threshold_a has no use; the preprocessor"),
        (["inpaint_only", "house.png", "-o", "x.png"], 2, "The preprocessor 'inpaint_only' fills what a mask covers"),
        (["canny", "house.png", "-o", "x.png", "--resolution", "-1"], 2, "resolution is -1; it must be a whole number"),
        (["canny", "house.png", "-o", "x.png", "--size", "0x64"], 2, "The size is 0x64; both sides must be from 1"),
        (["canny", "house.png", "-o", "x.png", "--size", "99999x99999"], 2, "The size is 99999x99999; both sides must"),
    ],
)
def test_mistakes_are_told(run, house, words, code, sentence):
    done = run("preprocess", *words)
    assert done.exit_code == code
    assert done.stderr.startswith(f"Error: {sentence}")
    assert not Path("x.png").exists()
