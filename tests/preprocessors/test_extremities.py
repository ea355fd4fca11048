"""Where hands and faces are cut out of a picture, and the points that are read from maps of them."""

import numpy as np
import pytest

from pochade.preprocessors.extremities import Box, face_box, face_points, hand_boxes, hand_points
from pochade.preprocessors.people import Point

RIGHT = {2: Point(100, 100), 3: Point(100, 160), 4: Point(100, 220)}
HEAD = {0: Point(100, 100), 14: Point(90, 95), 15: Point(110, 95), 16: Point(80, 98)}


def test_a_hand_lies_beyond_its_wrist():
    assert hand_boxes(RIGHT, 640, 480) == [Box(55, 194, 90)]
    long = RIGHT | {2: Point(100, 40)}
    assert hand_boxes(long, 640, 480) == [Box(19, 158, 162)]


def test_hands_need_a_whole_arm_that_is_large_enough():
    assert hand_boxes({}, 640, 480) == hand_boxes({2: RIGHT[2], 4: RIGHT[4]}, 640, 480) == []
    tiny = {2: Point(100, 100), 3: Point(100, 110), 4: Point(100, 120)}
    assert hand_boxes(tiny, 640, 480) == []
    left = {5: Point(300, 100), 6: Point(300, 160), 7: Point(300, 220)}
    assert [each.x for each in hand_boxes(RIGHT | left, 640, 480)] == [255, 55]


def test_a_hand_at_the_rim_is_cut():
    assert hand_boxes(RIGHT, 640, 240) == [Box(55, 194, 45)]
    at_left = {2: Point(10, 100), 3: Point(10, 160), 4: Point(10, 220)}
    assert hand_boxes(at_left, 640, 480) == [Box(0, 194, 90)]


def test_a_face_lies_around_the_nose():
    assert face_box(HEAD, 640, 480) == Box(70, 70, 60)
    assert face_box(HEAD | {17: Point(130, 100)}, 640, 480) == Box(55, 55, 90)
    assert face_box({14: HEAD[14]}, 640, 480) is face_box({0: HEAD[0]}, 640, 480) is None
    assert face_box({0: Point(100, 100), 14: Point(98, 99)}, 640, 480) is None


def test_a_face_at_the_rim_is_cut_where_half_of_it_reaches_beyond():
    assert face_box(HEAD, 99, 480) == Box(70, 70, 29)
    assert face_box(HEAD, 120, 480) == Box(70, 70, 60)
    assert face_box({0: Point(10, 100), 14: Point(0, 100)}, 640, 480) == Box(0, 70, 60)


def spots(places, side, count):
    """Maps with one hot spot each, at these shares of width and height; None leaves a map cold."""
    rows, columns = (np.mgrid[:side, :side] + 0.5) / side
    maps = np.zeros((count, side, side), np.float32)
    for each, place in zip(maps, places, strict=False):
        if place:
            each += np.exp(-((columns - place[0]) ** 2 + (rows - place[1]) ** 2) / (2 * 0.04**2))
    return maps


def test_a_hand_is_looked_at_in_four_sizes():
    places = [None if number == 4 else (0.1 + 0.04 * number, 0.9 - 0.03 * number) for number in range(21)]
    sizes = []

    def look(picture):
        sizes.append(picture.shape)
        return spots(places, picture.shape[0] // 8, 22)

    points = hand_points(np.zeros((200, 300, 3), np.uint8), Box(100, 50, 90), look)
    assert sizes == [(side, side, 3) for side in (184, 368, 552, 736)]
    assert len(points) == 21 and points[4] is None
    for point, place in zip(points, places, strict=True):
        if place:
            assert abs(point.x - (100 + 90 * place[0])) < 2 and abs(point.y - (50 + 90 * place[1])) < 2


def test_of_two_warm_regions_the_one_counts_that_is_warmer_as_a_whole():
    def look(picture):
        side = picture.shape[0] // 8
        large, small = spots([(0.3, 0.3)], side, 22), spots([(0.8, 0.8)], side, 22)
        return large + 1.3 * small**6  # hotter, but narrow

    (point, *_) = hand_points(np.zeros((128, 128, 3), np.uint8), Box(0, 0, 128), look)
    assert abs(point.x - 38) < 3


def test_the_points_of_a_face_are_its_hottest_places():
    places = [(0.25, 0.5), None, (0.75, 0.125)]
    points = face_points(np.zeros((200, 300, 3), np.uint8), Box(100, 50, 96), lambda seen: spots(places, 48, 71))
    first, second = points
    assert abs(first.x - 124) <= 1 and abs(first.y - 98) <= 1
    assert abs(second.x - 172) <= 1 and abs(second.y - 62) <= 1


@pytest.mark.parametrize("place", [(0, 0.5), (0.5, 0)])
def test_a_point_at_the_upper_or_left_rim_is_none(place):
    points = face_points(np.zeros((96, 96, 3), np.uint8), Box(0, 0, 96), lambda seen: spots([place], 48, 71))
    assert points == [None]


def test_a_face_that_reaches_beyond_the_picture_is_seen_as_far_as_it_is_there():
    seen = []

    def look(picture):
        seen.append(picture.shape)
        return spots([(0.5, 0.5)], 48, 71)

    (point,) = face_points(np.zeros((80, 100, 3), np.uint8), Box(70, 30, 60), look)
    assert seen == [(384, 384, 3)] and abs(point.x - 85) <= 1 and abs(point.y - 55) <= 1
