import json
from pathlib import Path

import pytest
from PIL import Image

from pochade.errors import UsageError
from pochade.generation.picture import Picture


@pytest.fixture
def folder(run):
    Path("in").mkdir()
    for number, name in enumerate(("b10.png", "b2.jpg", "A.png", ".hidden.png")):
        Image.new("RGB", (64, 64), (number * 60, 0, 0)).save(Path("in", name))
    Path("in/notes.txt").write_text("no picture")
    return Path("in")


def test_every_picture_of_a_folder_is_drawn_over_in_the_order_of_names(run, folder):
    done = run("img2img", "a", "--image", folder, "-o", "out")
    assert (done.exit_code, done.stdout.split()) == (0, ["out/A.png", "out/b2.png", "out/b10.png"])
    pictures = [Picture.open(path) for path in done.stdout.split()]
    assert [each.request.image for each in pictures] == ["A.png", "b2.jpg", "b10.png"]
    assert len({each.seed for each in pictures}) == 1
    assert len({each.request.image_hash for each in pictures}) == 3


def test_no_result_is_written_over(run, folder):
    run("img2img", "a", "--image", folder, "-o", folder)
    assert sorted(path.name for path in folder.glob("*.png")) == [
        *(".hidden.png", "A-1.png", "A.png", "b10-1.png", "b10.png", "b2.png")
    ]
    done = run("img2img", "a", "--image", folder / "A.png", "-o", "x.png", "--count", 2)
    assert done.stdout.split() == ["x-1.png", "x-2.png"]


def test_what_cannot_be_read_is_told_and_left_out(run, folder):
    (folder / "b2.jpg").write_bytes(b"no picture")
    done = run("img2img", "a", "--image", folder, "-o", "out", "--json")
    report = json.loads(done.stdout)
    assert (done.exit_code, [each["path"] for each in report["pictures"]]) == (3, ["out/A.png", "out/b10.png"])
    assert len(report["skipped"]) == 1
    assert "Note: in/b2.jpg: this is no image that can be read" in done.stderr
    assert "It is left out." in done.stderr


def test_masks_are_found_by_name(run, folder):
    Path("masks").mkdir()
    for name in ("A.png", "b10.jpg"):
        Image.new("L", (64, 64), 255).save(Path("masks", name))
    done = run("inpaint", "a", "--image", folder, "--mask", "masks", "-o", "out")
    assert (done.exit_code, done.stdout.split()) == (3, ["out/A.png", "out/b10.png"])
    assert "in/b2.jpg: there is no mask of this name for it in masks. It is left out." in done.stderr
    assert [Picture.open(path).request.mask for path in done.stdout.split()] == ["A.png", "b10.jpg"]
    done = run("inpaint", "a", "--image", folder, "--mask", "masks/A.png", "-o", "other")
    assert [Picture.open(path).request.mask for path in done.stdout.split()] == ["A.png"] * 3


def test_several_prompts_over_a_folder(run, folder):
    Path("list.txt").write_text("one\ntwo")
    done = run("img2img", "--prompts", "list.txt", "--image", folder, "-o", "out")
    assert done.stdout.split() == [f"out/{name}.png" for name in ("A", "b2", "b10", "A-1", "b2-1", "b10-1")]


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        ([], 2, "Which picture shall be drawn over?"),
        (["--image", "none.png"], 3, "none.png: there is no such image file; check the path."),
        (["--image", "empty"], 2, "empty: there is no picture in this folder."),
        (["--image", "in", "-o", "x.png"], 2, "x.png is one file for all pictures of a folder; name a folder with -o."),
        (["--image", "in/A.png", "-o", "x.jpg", "--keep-inputs"], 2, "x.jpg: only PNG files hold the pictures"),
        (["--image", "in", "--matrix"], 2, "There is no | in the prompt"),
    ],
)
def test_mistakes_are_said_before_anything_is_loaded(run, pipeline, folder, words, code, sentence):
    Path("empty").mkdir()
    done = run("img2img", "a", *words)
    assert (done.exit_code, pipeline.loaded) == (code, None)
    assert done.stderr.startswith(f"Error: {sentence}")


def test_a_grid_is_of_one_picture(run, folder):
    done = run("img2img", "a|b", "--image", folder, "--matrix")
    assert (done.exit_code, "give --no-grid" in done.stderr) == (2, True)
    done = run("img2img", "a|b", "--image", folder, "--matrix", "--no-grid", "-o", "out")
    assert len(done.stdout.split()) == 6


def test_a_mask_that_does_not_fit_costs_one_picture(run, folder):
    Path("masks").mkdir()
    for name, size in {"A.png": (64, 8), "b2.png": (32, 32), "b10.png": (64, 64)}.items():
        Image.new("L", size, 255).save(Path("masks", name))
    done = run("inpaint", "a", "--image", folder, "--mask", "masks", "-o", "out")
    assert (done.exit_code, done.stdout.split()) == (3, ["out/b2.png", "out/b10.png"])
    assert "Note: masks/A.png: this mask is 64x8 and the picture in/A.png 64x64; both must have" in done.stderr
    done = run("inpaint", "a", "--image", "in/A.png", "--mask", "masks/A.png", "-o", "x.png")
    assert (done.exit_code, done.stderr.startswith("Error: masks/A.png: this mask is 64x8")) == (3, True)


def test_wrong_usage_stops_at_any_picture(run, folder, pipeline, monkeypatch):
    plain = pipeline.run

    def strict(self, request, inputs):
        if request.image.endswith("b2.jpg"):
            raise UsageError("This cannot be.")
        yield from plain(self, request, inputs)

    monkeypatch.setattr(pipeline, "run", strict)
    done = run("img2img", "a", "--image", folder, "-o", "out")
    assert (done.exit_code, done.stdout.split()) == (2, ["out/A.png"])
    assert "Error: This cannot be." in done.stderr
