import json
from pathlib import Path

import pytest

from pochade.errors import UsageError
from pochade.generation.pictures.sizes import enlarged, fitting
from pochade.generation.request import Request

CASES = json.loads((Path(__file__).parents[2] / "vectors/webui/hires_sizes.json").read_text())["cases"]


@pytest.mark.parametrize("case", [case for case in CASES if case["op"] == "hires"], ids=lambda case: case["id"])
def test_the_second_pass_has_the_recorded_size(case):
    sides = (case["resize_x"], case["resize_y"])
    request = Request(
        width=case["width"], height=case["height"], hires=case["scale"], hires_size=sides if any(sides) else None
    )
    found = enlarged(request)
    assert list(found.size) == case["upscale_to"]
    assert list(found.cut) == case["truncate_latent"]


def test_there_is_no_second_pass_unless_asked():
    assert enlarged(Request(width=64, height=64)) is None
    assert enlarged(Request(width=64, height=64, hires_size=(0, 0))) is None


def test_a_picture_keeps_its_size_in_whole_cells():
    assert fitting((640, 453), (512, 512)) == (640, 448)


def test_a_large_picture_is_brought_down_in_its_proportion():
    width, height = fitting((6000, 4000), (512, 512))
    assert width * height <= 4 * 512 * 512
    assert width / height == pytest.approx(1.5, rel=0.02)


def test_a_tiny_picture_is_drawn_at_the_smallest_size():
    assert fitting((10, 300), (512, 512)) == (64, 296)


@pytest.mark.parametrize("settings", [{"hires": 0.05}, {"hires_size": (4, 4)}, {"hires": 16.0, "width": 2048}])
def test_a_second_pass_of_an_impossible_size_is_refused(settings):
    with pytest.raises(UsageError, match="second pass would be"):
        enlarged(Request(**{"width": 64, "height": 64} | settings))
