"""Skeletons are drawn in the colours that ControlNets were trained on."""

import numpy as np
from PIL import Image, ImageDraw

from pochade.preprocessors.people import Point
from pochade.preprocessors.skeletons import draw_body, draw_face, draw_hand


def drawn(draw_it, *what):
    sheet = Image.new("RGB", (128, 96))
    draw_it(ImageDraw.Draw(sheet), *what)
    return np.array(sheet)


def test_a_limb_lies_between_its_joints_in_a_darker_colour():
    picture = drawn(draw_body, {1: Point(30, 40), 2: Point(90, 40)})
    assert picture[40, 30].tolist() == [255, 85, 0] and picture[40, 90].tolist() == [255, 170, 0]
    assert picture[40, 60].tolist() == [153, 0, 0]
    assert (picture[36:45, 60] == [153, 0, 0]).all() and not picture[34, 60].any() and not picture[46, 60].any()
    assert (picture[36:45, 28] == [255, 85, 0]).all(axis=1).sum() == 7  # a dot of radius 4, cut beside its middle


def test_what_is_not_known_is_not_drawn():
    assert not drawn(draw_body, {}).any()
    lonely = drawn(draw_body, {10: Point(64, 48)})
    assert (lonely.any(axis=2)).sum() == 49 and lonely[48, 64].tolist() == [0, 170, 255]
    assert not drawn(draw_hand, [None] * 21).any() and not drawn(draw_face, [None, None]).any()


def test_the_last_two_limbs_are_never_drawn():
    picture = drawn(draw_body, {2: Point(30, 40), 16: Point(90, 40)})
    assert not picture[40, 60].any()


def test_bones_run_through_the_rainbow():
    points = [None] * 21
    points[0], points[1] = Point(20, 20), Point(80, 20)
    picture = drawn(draw_hand, points)
    assert picture[20, 50].tolist() == [255, 0, 0] and (picture[:, 50].any(axis=1)).sum() == 3
    assert picture[20, 20].tolist() == picture[20, 80].tolist() == [0, 0, 255]
    points[17] = Point(20, 80)
    assert drawn(draw_hand, points)[50, 20].tolist() == [204, 0, 255]


def test_a_face_is_white_dots():
    picture = drawn(draw_face, [Point(40, 40), None, Point(0, 0)])
    assert picture[40, 40].tolist() == [255, 255, 255]
    assert picture[30:50, 30:50].any(axis=2).sum() == 29 and picture[0, 3].any() and not picture[0, 4].any()
