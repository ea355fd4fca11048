"""The tasks that begin with a picture, shown on the model that ships: what was asked for is there, the rest stays."""

from itertools import cycle, islice

import numpy as np
import pytest
from PIL import Image

from pochade import Pipeline
from pochade.picturebook.judge import judge

ASKED = (
    ("yellow", "sun"), ("green", "tree"), ("red", "heart"), ("blue", "boat"), ("yellow", "star"),
    ("orange", "fish"), ("purple", "house"), ("pink", "flower"), ("green", "mountain"), ("white", "moon"),
)  # fmt: skip
CORNER = (62, 4, 126, 68)
BLUR = 0  # with a soft edge the thing is drawn larger than the corner, and cut off where it is judged


@pytest.fixture(scope="module")
def pipeline():
    return Pipeline.load(device="cpu", dtype="fp32")


@pytest.fixture(scope="module")
def house(pipeline):
    return pipeline.txt2img("a red house, night sky", seed=8).image


def pixels(image):
    return np.asarray(image).astype(int)


def mask():
    drawn = Image.new("L", (128, 128))
    drawn.paste(255, CORNER)
    return drawn


def inpainted(pipeline, house, tries):
    """Whether each asked-for thing was drawn into the corner, and everything else stayed."""
    for number, (colour, thing) in enumerate(islice(cycle(ASKED), tries)):
        picture = pipeline.img2img(
            f"a {colour} {thing}, night sky", house, mask(), seed=100 + number, strength=1.0, fill="latent noise",
            only_masked=True, padding=0, mask_blur=BLUR,
        )  # fmt: skip
        changed = (pixels(picture.image) != pixels(house)).any(axis=-1)
        assert not changed[CORNER[3] + 6 :].any() and not changed[:, : CORNER[0] - 6].any()
        corner = picture.image.crop(CORNER).resize((128, 128), Image.Resampling.LANCZOS)
        yield any((each.colour, each.object) == (colour, thing) for each in judge(corner).things)


def test_inpainting_draws_what_is_asked_for_and_changes_nothing_else(pipeline, house):
    assert sum(inpainted(pipeline, house, 6)) >= 5


@pytest.mark.slow
def test_inpainting_succeeds_four_times_of_five(pipeline, house):
    assert sum(inpainted(pipeline, house, 50)) >= 40


def test_the_strength_tells_how_much_of_a_picture_stays(pipeline, house):
    changes = [
        np.abs(pixels(pipeline.img2img("a blue house, night sky", house, seed=3, strength=each).image) - pixels(house))
        for each in (0.1, 0.5, 0.9)
    ]
    assert changes[0].mean() < changes[1].mean() < changes[2].mean()


def test_img2img_recolours_a_thing_in_its_place(pipeline, house):
    before = judge(house).things[0]
    (after,) = judge(pipeline.img2img("a blue house, night sky", house, seed=3, strength=0.8).image).things
    assert (after.colour, after.object) == ("blue", "house")
    assert np.abs(np.subtract(after.centre, before.centre)).max() < 16


def test_the_second_pass_keeps_the_scene_and_sharpens_it(pipeline):
    picture = pipeline.txt2img("a red house, night sky", seed=8, hires=2.0, strength=0.4, hires_upscaler="Lanczos")
    assert picture.image.size == (256, 256)
    found = judge(picture.image.resize((128, 128), Image.Resampling.LANCZOS))
    assert found.background == "night sky"
    assert any((each.colour, each.object) == ("red", "house") for each in found.things)


def test_a_variation_moves_away_step_by_step(pipeline, house):
    def changed(strength):
        picture = pipeline.txt2img(
            "a red house, night sky", seed=8, variation_seed=5, variation_strength=strength, steps=12
        )
        return pixels(picture.image)

    start = pixels(pipeline.txt2img("a red house, night sky", seed=8, steps=12).image)
    small, large = (np.abs(changed(each) - start).mean() for each in (0.05, 0.6))
    assert 0 < small < large
    (thing,) = judge(Image.fromarray(changed(0.2).astype(np.uint8))).things
    assert (thing.colour, thing.object) == ("red", "house")
