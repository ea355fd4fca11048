import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pochade.generation.pictures.masks import blurred, covered, cut_out, doubled, filled, in_proportion, mask_of

CASES = json.loads((Path(__file__).parents[2] / "vectors/webui/inpaint_crop.json").read_text())["cases"]


def box_mask(size, box):
    mask = Image.new("L", size)
    mask.paste(255, tuple(box))
    return mask


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_the_part_that_is_drawn_is_the_recorded_one(case):
    size = tuple(case["image"])
    box = covered(box_mask(size, case["mask_box"]), case["padding"])
    assert list(box) == case["crop"]
    assert list(in_proportion(box, *case["process"], size)) == case["expanded"]


def test_a_mask_without_white_covers_nothing():
    assert covered(Image.new("L", (8, 8)), padding=4) is None


def test_a_mask_is_the_transparency_where_there_is_some():
    image = Image.new("RGBA", (2, 1), (255, 255, 255, 0))
    image.putpixel((1, 0), (0, 0, 0, 200))
    assert list(mask_of(image).tobytes()) == [0, 255]
    assert list(mask_of(image, rounded=False).tobytes()) == [0, 200]


def test_a_mask_is_the_brightness_of_an_opaque_picture():
    image = Image.new("RGBA", (2, 1), (0, 0, 0, 255))
    image.putpixel((1, 0), (200, 200, 200, 255))
    assert list(mask_of(image).tobytes()) == [0, 200]


def test_blur_keeps_the_amount_of_white_and_each_direction_is_its_own():
    mask = box_mask((64, 64), (24, 24, 40, 40))
    both, across = (np.asarray(blurred(mask, 4, y), dtype=float) for y in (4, 0))
    assert both.sum() == pytest.approx(np.asarray(mask, dtype=float).sum(), rel=0.01)
    assert (across[20] == 0).all() and (across[30] > 0).sum() > 16
    assert blurred(mask, 0, 0).tobytes() == mask.tobytes()


def test_blur_has_the_width_of_its_gaussian():
    edge = box_mask((65, 1), (32, 0, 65, 1))
    values = np.asarray(blurred(edge, 5, 0), dtype=float)[0] / 255
    assert values[32 - 5] == pytest.approx(0.18, abs=0.02)  # the normal distribution at one deviation, and half a pixel
    assert values[32 + 4] == pytest.approx(0.82, abs=0.02)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (3, 3)])
def test_tiny_masks_can_be_blurred(size):
    assert blurred(Image.new("L", size, 255), 4, 4).getextrema() == (255, 255)


def test_filling_draws_the_surroundings_into_the_hole():
    image = Image.new("RGB", (64, 64), (200, 10, 10))
    image.paste((0, 255, 0), (24, 24, 40, 40))
    result = filled(image, box_mask((64, 64), (20, 20, 44, 44)))
    assert np.abs(np.asarray(result, dtype=int) - (200, 10, 10)).max() <= 5


def test_what_is_cut_out_is_exact_where_it_is_opaque():
    rng = np.random.default_rng(1)
    image = Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8))
    layer = np.asarray(cut_out(image, box_mask((16, 16), (4, 4, 8, 8))))
    opaque = layer[..., 3] == 255
    assert opaque.sum() == 16 * 16 - 16
    assert (layer[opaque][:, :3] == np.asarray(image)[opaque]).all()


def test_doubling_stays_within_white():
    assert list(doubled(Image.frombytes("L", (3, 1), bytes([0, 100, 200]))).tobytes()) == [0, 200, 255]
