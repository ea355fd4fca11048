import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pochade import files
from pochade.generation.picture import Picture, read_metadata
from pochade.generation.request import Request
from pochade.networks import array_of, fresh
from pochade.networks.upscalers import Compact, compact_shapes


@pytest.fixture
def house(run):
    """A drawn picture, 64x64, in the present folder."""
    request = Request("a house", seed=5, steps=2, sampler="Euler", schedule="Karras", width=64, height=64)
    return str(Picture.made(Image.effect_noise((64, 64), 80).convert("RGB"), request, 0).save("house.png"))


@pytest.fixture
def model(run):
    network = fresh(Compact, compact_shapes(4, 1, 2), 4)
    return files.save("x2.safetensors", {name: array_of(each) for name, each in network.state_dict().items()})


def test_a_picture_twice_as_large_with_all_it_knows(run, house):
    done = run("upscale", house, "-o", "large.png")
    assert (done.exit_code, done.stdout) == (0, "large.png\n")
    before, after = Picture.open(house), Picture.open("large.png")
    assert after.image.size == (128, 128)
    assert after.request == before.request
    assert after.infotext == f"{before.infotext}, Postprocess upscale by: 2, Postprocess upscaler: Lanczos"
    assert "Postprocess upscaler: Lanczos" in run("info", "large.png").stdout


def test_a_model_in_tiles_to_a_size(run, house, model):
    words = ("--size", "100x90", "--crop", "--upscaler", model, "--tile", 32, "--overlap", 4, "--device", "cpu")
    done = run("upscale", house, *words, "-o", "large.webp", "--json")
    assert done.exit_code == 0
    expected = {"source": house, "path": "large.webp", "width": 100, "height": 90}
    assert json.loads(done.stdout) == {"pictures": [expected]}
    assert "tiles 9/9" in done.stderr
    assert "Postprocess crop to: 100x90, Postprocess upscaler: x2" in read_metadata("large.webp").infotext


def test_two_upscalers(run, house):
    run("upscale", house, "--scale", 1.5, "--upscaler", "nearest", "--upscaler2", "Lanczos", "-o", "large.png")
    assert "upscaler: Nearest, Postprocess upscaler 2: Lanczos" in read_metadata("large.png").infotext


def test_many_pictures_keep_their_names_and_nothing_is_written_over(run, house, tmp_path):
    Image.new("RGB", (8, 8)).save("tree.jpg")
    assert run("upscale", house, "tree.jpg", "-o", "large").stdout == "large/house.png\nlarge/tree.png\n"
    assert run("upscale", house, "-o", "large").stdout == "large/house-1.png\n"
    assert run("upscale", house, "-o", ".").stdout == "house-1.png\n"
    done = run("upscale", house)
    assert done.stdout.startswith("outputs/upscale/") and done.stdout.endswith("/house.png\n")


def test_a_bad_picture_does_not_stop_the_others(run, house, tmp_path):
    (tmp_path / "bad.png").write_text("no")
    done = run("upscale", "bad.png", "missing.png", house, "-o", "large", "--json")
    assert done.exit_code == 3
    bad, missing, good = json.loads(done.stdout)["pictures"]
    assert (bad["source"], missing["source"], good["path"]) == ("bad.png", "missing.png", "large/house.png")
    assert done.stderr.count("Error: ") == 2
    assert "missing.png: there is no such image file" in done.stderr


def test_transparency_in_a_jpeg_is_noted(run):
    Image.new("RGBA", (8, 8)).save("clear.png")
    done = run("upscale", "clear.png", "-o", "large.jpg")
    assert (done.exit_code, done.stdout) == (0, "large.jpg\n")
    assert "Note: JPEG has no transparency" in done.stderr
    assert np.asarray(Image.open("large.jpg")).min() > 250


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--scale", 2, "--size", "9x9"), "--scale and --size are both given"),
        (("--size", "9"), "it must be WIDTHxHEIGHT"),
        (("--crop",), "--crop cuts off what is outside of --size, but no size is given"),
        (("--size", "0x0"), "size is 0x0"),
        (("--scale", 0), "scale is 0.0"),
        (("--upscaler", "Lanzcos"), "did you mean Lanczos"),
        (("-o", "house.xyz"), "names no image format"),
        (("-o", "./house.png"), "is a picture that this begins with"),
        (("house.png", "-o", "one.png"), "one.png is one file for 2 pictures"),
    ],
)
def test_wrong_usage(run, house, words, sentence):
    done = run("upscale", house, *words)
    assert (done.exit_code, done.stdout) == (2, "")
    assert sentence in done.stderr
    assert sorted(each.name for each in Path.cwd().iterdir()) == ["house.png"]


def test_a_folder_that_is_a_file(run, house, tmp_path):
    (tmp_path / "large").write_text("")
    done = run("upscale", house, "-o", "large")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "large is a file without a suffix; name a folder, or a file such as large.png." in done.stderr


def test_bad_model_files(run, house):
    files.save("x.safetensors", {"x": np.zeros(3)})
    for name, sentence in (("x.safetensors", "no upscaler of ESRGAN's kind"), ("none.pth", "no such upscaler file")):
        done = run("upscale", house, "--upscaler", name, "-o", "large.png")
        assert (done.exit_code, done.stdout) == (3, "")
        assert sentence in done.stderr


def test_upscalers_are_found_by_name(run, house, model, monkeypatch):
    place = Path("webui/models/ESRGAN")
    place.mkdir(parents=True)
    model.rename(place / "x2.safetensors")
    words = ("upscale", house, "--upscaler", "x2", "--upscaler2", "lanczos", "-o", "large.png", "--models")
    done = run(*words, "webui")
    assert done.exit_code == 0, done.stderr
    assert "Postprocess upscaler: x2, Postprocess upscaler 2: Lanczos" in read_metadata("large.png").infotext
    monkeypatch.setenv("POCHADE_MODELS", "webui")
    done = run("upscale", house, "--upscaler", "x3", "-o", "large.png")
    assert (done.exit_code, "did you mean x2?" in done.stderr) == (2, True)
