import hashlib
import json
from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin

from pochade.generation.picture import Picture


def colour(path):
    with Image.open(path) as image:
        return image.convert("RGB").getpixel((0, 0))


@pytest.mark.parametrize("extra", [[], ["--variation-strength", "0.5", "--variation-seed", "40"]])
def test_each_picture_of_a_batch_comes_out_again(run, extra):
    run("txt2img", "a", "--seed", 5, "--count", 5, "--batch", 2, "-o", "x.png", *extra)
    for number in range(1, 6):
        done = run("redo", f"x-{number}.png", "-o", "again.png")
        assert (done.exit_code, done.stdout) == (0, "again.png\n")
        assert colour("again.png") == colour(f"x-{number}.png")
        assert Picture.open("again.png").infotext == Picture.open(f"x-{number}.png").infotext
        run("redo", "again.png", "-o", "third.png")
        assert colour("third.png") == colour("again.png")


def test_json_and_the_folder_of_the_day(run):
    run("txt2img", "a", "--seed", 5, "-o", "x.png")
    report = json.loads(run("redo", "x.png", "--json").stdout)
    assert (report["seed"], Path(report["path"]).parts[:2]) == (5, ("outputs", "redo"))


def plain(path, text):
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text("parameters", text)
    Image.new("RGB", (8, 8)).save(path, pnginfo=chunks)


def test_a_picture_of_a1111_is_redone_as_well_as_can_be(run, pipeline):
    Path("models").mkdir()
    Path("models/v1.ckpt").touch()
    plain("old.png", "a cat\nSteps: 3, Sampler: Euler, Seed: 9, Size: 64x72, Model: v1, Denoising strength: 0.5")
    done = run("redo", "old.png", "--models", "models", "-o", "new.png")
    assert done.exit_code == 0
    assert "are not followed: Denoising strength." in done.stderr
    assert pipeline.loaded["model"] == Path("models/v1.ckpt")
    request = Picture.open("new.png").request
    assert (request.prompt, request.steps, request.seed, request.width, request.height) == ("a cat", 3, 9, 64, 72)


def test_a_renamed_model_is_found_by_its_hash(run, pipeline):
    Path("models").mkdir()
    Path("models/other.ckpt").write_bytes(b"other")
    Path("models/renamed.ckpt").write_bytes(b"weights")
    digest = hashlib.sha256(b"weights").hexdigest()[:10]
    plain("old.png", f"a cat\nSteps: 3, Sampler: Euler, Seed: 9, Model hash: {digest}, Model: v1")
    done = run("redo", "old.png", "--models", "models", "-o", "new.png")
    assert pipeline.loaded["model"] == Path("models/renamed.ckpt")
    assert f"another model, {digest}" in done.stderr


def test_a_missing_model_is_said_and_another_may_be_given(run, pipeline):
    plain("old.png", "a cat\nSteps: 3, Sampler: Euler, Seed: 9, Model: v1")
    done = run("redo", "old.png")
    assert (done.exit_code, pipeline.loaded) == (2, None)
    assert done.stderr.startswith("Error: The picture was drawn with 'v1'. There is no checkpoint file 'v1'")
    Path("mine.ckpt").touch()
    assert run("redo", "old.png", "--model", "mine.ckpt", "-o", "new.png").exit_code == 0


def test_a_picture_without_parameters_cannot_be_redone(run):
    Image.new("RGB", (8, 8)).save("bare.png")
    done = run("redo", "bare.png")
    assert (done.exit_code, "it carries no parameters" in done.stderr) == (3, True)


def test_a_missing_picture(run):
    assert run("redo", "none.png").exit_code == 3
