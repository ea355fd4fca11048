"""People as ControlNets know them: limbs and joints in fixed colours on black."""

import colorsys
from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import isqrt

import numpy as np
from PIL import ImageDraw

from pochade.preprocessors.people import LIMBS, Point

_LIMBS = LIMBS[:17]
_COLOURS = (
    *((255, 0, 0), (255, 85, 0), (255, 170, 0), (255, 255, 0), (170, 255, 0), (85, 255, 0), (0, 255, 0)),
    *((0, 255, 85), (0, 255, 170), (0, 255, 255), (0, 170, 255), (0, 85, 255), (0, 0, 255), (85, 0, 255)),
    *((170, 0, 255), (255, 0, 255), (255, 0, 170), (255, 0, 85)),
)
_DARKER = 0.6  # limbs, than the joint of the same number
_BODY_RADIUS, _HAND_RADIUS, _FACE_RADIUS = 4, 4, 3
_FINGERS = [(0, *range(first, first + 4)) for first in (1, 5, 9, 13, 17)]  # from the wrist to each tip
_BONES = [bone for finger in _FINGERS for bone in pairwise(finger)]
_BONE_WIDTH = 3
_HAND_COLOUR, _FACE_COLOUR = (0, 0, 255), (255, 255, 255)


def draw_body(draw: ImageDraw.ImageDraw, joints: Mapping[int, Point]) -> None:
    """A body with as many of its joints as are known."""
    for (start, end), colour in zip(_LIMBS, _COLOURS, strict=False):
        if start in joints and end in joints:
            draw.polygon(_ellipse(joints[start], joints[end]), tuple(int(each * _DARKER) for each in colour))
    for joint, colour in enumerate(_COLOURS):
        if joint in joints:
            _dot(draw, joints[joint], _BODY_RADIUS, colour)


def draw_hand(draw: ImageDraw.ImageDraw, points: Sequence[Point | None]) -> None:
    """A hand, its bones in the colours of the rainbow."""
    for number, (start, end) in enumerate(_BONES):
        first, second = points[start], points[end]
        if first and second:
            red, green, blue = (int(255 * each) for each in colorsys.hsv_to_rgb(number / len(_BONES), 1, 1))
            ends = [int(first.x), int(first.y), int(second.x), int(second.y)]
            draw.line(ends, (red, green, blue), _BONE_WIDTH)
    for point in filter(None, points):
        _dot(draw, point, _HAND_RADIUS, _HAND_COLOUR)


def draw_face(draw: ImageDraw.ImageDraw, points: Sequence[Point | None]) -> None:
    """A face's points."""
    for point in filter(None, points):
        _dot(draw, point, _FACE_RADIUS, _FACE_COLOUR)


def _ellipse(start: Point, end: Point) -> list[tuple[float, float]]:
    """The rim of a limb, a flat ellipse, in whole degrees."""
    x, y = int((start.x + end.x) / 2), int((start.y + end.y) / 2)
    across, down = start.x - end.x, start.y - end.y
    long, tilt = int(np.hypot(across, down) / 2), np.radians(int(np.degrees(np.arctan2(down, across))))
    round_it = np.radians(np.arange(360))
    along, beside = long * np.cos(round_it), _BODY_RADIUS * np.sin(round_it)
    rows = (y + along * np.sin(tilt) + beside * np.cos(tilt)).round()
    columns = (x + along * np.cos(tilt) - beside * np.sin(tilt)).round()
    return list(zip(columns.tolist(), rows.tolist(), strict=True))


def _dot(draw: ImageDraw.ImageDraw, point: Point, radius: int, colour: tuple[int, int, int]) -> None:
    """All pixels that are no farther than the radius."""
    x, y = int(point.x), int(point.y)
    for row in range(-radius, radius + 1):
        reach = isqrt(radius**2 - row**2)
        draw.line((x - reach, y + row, x + reach, y + row), colour)
