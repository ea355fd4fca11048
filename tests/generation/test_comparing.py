import pytest
from PIL import Image

from pochade.generation.comparing import LEFT, RIGHT, SAME, Row, compare_pixels, compare_settings, compare_words
from pochade.generation.controlnet.control_unit import ControlUnit
from pochade.generation.picture import Picture, metadata_of_text, read_metadata
from pochade.generation.request import Request

REQUEST = Request("a red house", model="m.safetensors", steps=20, sampler="Euler", seed=5, width=64, height=64, count=2)


def saved(path, index=0, **changes):
    request = Request(**vars(REQUEST) | changes)
    return read_metadata(Picture.made(Image.new("RGB", (64, 64)), request, index).save(path))


def told(text):
    return metadata_of_text("-", text)


def differing(left, right):
    return [row for row in compare_settings(left, right) if row.differs]


def test_records_are_compared_as_a_whole(tmp_path):
    left, right = saved(tmp_path / "a.png"), saved(tmp_path / "b.png", steps=30, dtype="bf16", comma_backtrack=0)
    assert differing(left, right) == [Row("steps", 20, 30), Row("dtype", "auto", "bf16"), Row("comma_backtrack", 20, 0)]


def test_pictures_of_one_batch_differ_in_their_seeds(tmp_path):
    left, right = saved(tmp_path / "a.png", 0, batch=2), saved(tmp_path / "b.png", 1, batch=2)
    assert differing(left, right) == [Row("seed", 5, 6)]
    varied = {"variation_strength": 0.5, "variation_seed": 7, "batch": 2}
    left, right = saved(tmp_path / "a.png", 0, **varied), saved(tmp_path / "b.png", 1, **varied)
    assert differing(left, right) == [Row("variation_seed", 7, 8)]


def test_shared_settings_are_those_that_someone_chose(tmp_path):
    rows = compare_settings(saved(tmp_path / "a.png"), saved(tmp_path / "b.png"))
    assert {row.name for row in rows} >= {"prompt", "steps", "seed"}
    assert "tiling" not in {row.name for row in rows}


def test_controls_are_compared_one_by_one(tmp_path):
    unit = {"model": "canny.safetensors", "image": "x.png"}
    left = saved(tmp_path / "a.png", controls=(ControlUnit(**unit),))
    right = saved(tmp_path / "b.png", controls=(ControlUnit(**unit, weight=0.5),))
    assert differing(left, right) == [Row("control 1 weight", 1.0, 0.5)]


def test_pictures_of_different_programs_speak_one_language(tmp_path):
    other = told(
        "a blue house\nSteps: 20, Sampler: Euler, CFG scale: 7, Seed: 5, Size: 64x64, Model: m, RNG: NV, Odd: 3"
    )
    rows = differing(saved(tmp_path / "a.png", clip_skip=1), other)
    assert rows == [Row("prompt", "a red house", "a blue house"), Row("Odd", None, "3")]


def test_a_picture_that_tells_nothing():
    assert Row("steps", 20, None) in differing(told("a\nSteps: 20, Sampler: Euler, Seed: 1"), told(""))


def test_pixels():
    black, grey = Image.new("RGB", (4, 2)), Image.new("RGB", (4, 2), (0, 0, 30))
    assert compare_pixels(black, black) == (0, 0.0)
    assert compare_pixels(black, grey) == (30, 10.0)
    assert compare_pixels(black, grey.convert("RGBA")) == (30, 7.5)
    assert compare_pixels(black, Image.new("RGB", (2, 4))) is None


@pytest.mark.parametrize(
    ("left", "right", "pieces"),
    [
        ("a red house", "a blue house", [(SAME, "a "), (LEFT, "red"), (RIGHT, "blue"), (SAME, " house")]),
        ("a, b", "a, b, c", [(SAME, "a, b"), (RIGHT, ", c")]),
        ("", "a", [(RIGHT, "a")]),
        ("x " * 2000, "x " * 1999, [(LEFT, "x " * 2000), (RIGHT, "x " * 1999)]),
        ("cat, dog, fish", "one two three", [(LEFT, "cat, dog, fish"), (RIGHT, "one two three")]),
    ],
)
def test_words(left, right, pieces):
    assert list(compare_words(left, right)) == pieces
