import pytest
from PIL import Image

from pochade.generation.picture import Picture


def test_the_sides_reach_the_request(run):
    Image.new("RGB", (64, 64)).save("house.png")
    words = ["--left", 8, "--down", 16, "--seam", 4, "--outpaint-fill", "Latent Noise", "--size", "64x64"]
    done = run("outpaint", "a", "--image", "house.png", *words, "-o", "wide.png", "--keep-inputs")
    assert (done.exit_code, done.stdout) == (0, "wide.png\n")
    picture = Picture.open("wide.png")
    request = picture.request
    assert (request.left, request.right, request.up, request.down) == (8, 0, 0, 16)
    assert (request.seam, request.outpaint_fill, request.width, request.image) == (4, "latent noise", 64, "house.png")
    assert picture.inputs.images[0].size == (64, 64)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--left", "8"], "Which picture shall grow?"),
        (["--image", "house.png"], "Where shall the picture grow?"),
        (["--image", "house.png", "--left", "-8"], "left is -8; it must be a whole number from 0 to 8192."),
        (["--image", "house.png", "--left", "8", "--outpaint-fill", "black"], "There is no choice of outpaint_fill"),
    ],
)
def test_mistakes_are_said_before_anything_is_loaded(run, pipeline, words, sentence):
    done = run("outpaint", "a", *words)
    assert (done.exit_code, pipeline.loaded) == (2, None)
    assert done.stderr.startswith(f"Error: {sentence}")


@pytest.mark.parametrize("word", ["--mask", "--depth", "--resize-mode", "--hires"])
def test_options_of_other_tasks_are_not_there(run, word):
    assert run("outpaint", "a", word, "x").exit_code == 2
