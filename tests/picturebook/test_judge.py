"""The judge: right on true pictures, steady under blur, noise and specks, and strict with wrong ones."""

import io
from functools import cache

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from pochade.picturebook.judge import Judgement, compare, judge, score
from pochade.picturebook.paint import backdrop, paint
from pochade.picturebook.palette import BACKGROUNDS
from pochade.picturebook.scene import Scene, Thing, random_scene

HOUSE_UNDER_SUN = Scene(
    (Thing("house", "red", 64, 95, 46), Thing("sun", "yellow", 60, 33, 46)), "below", "night sky", "flat"
)
BLUE_FISH = Scene((Thing("fish", "blue", 64, 64, 66),), None, "sunset")


def disturbed(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """What an autoencoder may do to a picture: blur, noise and block artefacts."""
    blurred = np.asarray(picture.filter(ImageFilter.GaussianBlur(1)), np.float32)
    noisy = np.clip(blurred + rng.normal(0, 6, blurred.shape), 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noisy).save(buffer, "JPEG", quality=90)
    return Image.open(buffer).convert("RGB")


@cache
def rates(disturb: bool, count: int) -> dict[str, float]:
    rng = np.random.default_rng(42)
    marks: dict[str, list[bool]] = {}
    for _ in range(count):
        scene = random_scene(rng)
        picture = disturbed(paint(scene), rng) if disturb else paint(scene)
        seen = judge(picture)
        named = {**compare(seen, scene), "style": seen.style == scene.style}
        if scene.relation is None:
            del named["relation"]
        for name, right in named.items():
            marks.setdefault(name, []).append(right)
    return {name: float(np.mean(rights)) for name, rights in marks.items()}


@pytest.mark.parametrize("attribute", ["object", "colour", "background", "relation", "style", "all"])
def test_true_pictures_are_read_rightly(attribute):
    assert rates(False, 400)[attribute] >= 0.98


@pytest.mark.parametrize("attribute", ["object", "colour", "background", "relation", "style", "all"])
def test_disturbed_pictures_are_read_rightly(attribute):
    assert rates(True, 200)[attribute] >= 0.96


def test_two_things_and_how_they_stand():
    seen = judge(paint(HOUSE_UNDER_SUN))
    assert seen.background == "night sky"
    assert {(thing.object, thing.colour) for thing in seen.things} == {("house", "red"), ("sun", "yellow")}
    assert seen.relation in ("below", "above")
    assert score(paint(HOUSE_UNDER_SUN), HOUSE_UNDER_SUN)["all"]
    assert score(paint(HOUSE_UNDER_SUN), HOUSE_UNDER_SUN.turned())["all"]


@pytest.mark.parametrize(
    ("asked", "wrong"),
    [
        (Scene((Thing("boat", "blue", 64, 64, 66),), None, "sunset"), "object"),
        (Scene((Thing("fish", "green", 64, 64, 66),), None, "sunset"), "colour"),
        (Scene((Thing("fish", "blue", 64, 64, 66),), None, "beach"), "background"),
    ],
)
def test_one_wrong_attribute_is_marked_alone(asked, wrong):
    marks = score(paint(BLUE_FISH), asked)
    assert {name for name, right in marks.items() if not right} == {wrong, "all"}


def test_a_wrong_relation_is_marked_alone():
    asked = Scene(HOUSE_UNDER_SUN.things, "left of", "night sky")
    marks = score(paint(HOUSE_UNDER_SUN), asked)
    assert {name for name, right in marks.items() if not right} == {"relation", "all"}


def test_swapped_colours_are_wrong():
    house, sun = HOUSE_UNDER_SUN.things
    swapped = (Thing("house", sun.colour, *(64, 95, 46)), Thing("sun", house.colour, *(60, 33, 46)))
    marks = score(paint(Scene(swapped, "below", "night sky")), HOUSE_UNDER_SUN)
    assert (marks["object"], marks["colour"], marks["relation"]) == (True, False, True)


def test_a_missing_and_a_superfluous_thing_count_as_wrong():
    house = Scene(HOUSE_UNDER_SUN.things[:1], None, "night sky")
    assert not score(paint(house), HOUSE_UNDER_SUN)["object"]
    marks = score(paint(HOUSE_UNDER_SUN), house)
    assert not marks["object"]
    assert marks["colour"]


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_an_empty_picture_has_a_background_only(background):
    assert judge(backdrop(background)) == Judgement(background, (), "flat")


def test_noise_alone_is_survived():
    noise = np.random.default_rng(0).integers(0, 256, (128, 128, 3), dtype=np.uint8)
    assert judge(noise).background in BACKGROUNDS
    assert not score(noise, BLUE_FISH)["all"]


def test_specks_do_not_matter():
    picture = paint(BLUE_FISH)
    draw = ImageDraw.Draw(picture)
    for x, y in ((8, 8), (110, 20), (20, 110), (112, 112)):
        draw.ellipse((x, y, x + 7, y + 7), (20, 140, 50))
    assert score(picture, BLUE_FISH)["all"]


def test_arrays_and_other_sizes_are_read_too():
    picture = paint(BLUE_FISH)
    assert judge(np.asarray(picture)) == judge(picture)
    assert score(picture.resize((256, 256), Image.Resampling.BICUBIC), BLUE_FISH)["all"]


def test_boxes_enclose_the_things():
    (fish,) = judge(paint(BLUE_FISH)).things
    left, top, right, bottom = fish.box
    assert abs(left - 31) <= 2
    assert abs(right - 97) <= 2
    assert 30 < top < bottom < 98
    assert fish.fit > 0.95


def test_half_the_resolution_is_enough():
    rng = np.random.default_rng(9)
    marks = []
    for scene in (random_scene(rng) for _ in range(80)):
        coarse = paint(scene).resize((64, 64), Image.Resampling.BOX)
        marks.append(score(coarse, scene)["all"])
    assert np.mean(marks) >= 0.95
