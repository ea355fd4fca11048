"""Hints from networks that find bodies, hands and faces. Sizes and numbers are those of ControlNet's own program."""

import numpy as np
from PIL import Image, ImageDraw

from pochade.preprocessors.extremities import face_box, face_points, hand_boxes, hand_points
from pochade.preprocessors.learned import Network
from pochade.preprocessors.people import Person, people_of
from pochade.preprocessors.pictures import Picture, resampled
from pochade.preprocessors.skeletons import draw_body, draw_face, draw_hand

_HEIGHT = 184  # of the picture that the body's network sees
_WIDEST = 8 * _HEIGHT  # what is wider is squeezed, for it would take all memory
_CELL = 8  # pixels that become one of a map
_GREY = 128
_FIELD_MAPS = 38


def openpose(picture: Picture, *, body: Network) -> Picture:
    """Bodies."""
    return _drawn(picture, body)


def openpose_hand(picture: Picture, *, body: Network, hand: Network) -> Picture:
    """Bodies with hands."""
    return _drawn(picture, body, hand)


def openpose_face(picture: Picture, *, body: Network, face: Network) -> Picture:
    """Bodies with faces."""
    return _drawn(picture, body, face=face)


def openpose_faceonly(picture: Picture, *, body: Network, face: Network) -> Picture:
    """Faces of bodies."""
    return _drawn(picture, body, face=face, shows_body=False)


def openpose_full(picture: Picture, *, body: Network, hand: Network, face: Network) -> Picture:
    """Bodies with hands and faces."""
    return _drawn(picture, body, hand, face)


def _drawn(
    picture: Picture, body: Network, hand: Network | None = None, face: Network | None = None, shows_body: bool = True
) -> Picture:
    """Everyone in a picture, on black."""
    height, width = picture.shape[:2]
    sheet = Image.new("RGB", (width, height))
    draw = ImageDraw.Draw(sheet)
    for person in found_people(picture, body):
        if shows_body:
            draw_body(draw, person.joints)
        for box in hand_boxes(person.joints, width, height) if hand else ():
            assert hand
            draw_hand(draw, hand_points(picture, box, hand))
        box_of_face = face_box(person.joints, width, height) if face else None
        if face and box_of_face:
            draw_face(draw, face_points(picture, box_of_face, face))
    return np.array(sheet)


def found_people(picture: Picture, body: Network) -> list[Person]:
    """The people that the body's network finds in a picture."""
    height, width = picture.shape[:2]
    seen = min(max(1, int(width * _HEIGHT / height)), _WIDEST)
    how = Image.Resampling.BOX if height > _HEIGHT else Image.Resampling.LANCZOS
    small = resampled(picture, seen, _HEIGHT, how)
    maps = body(np.pad(small, ((0, 0), (0, -seen % _CELL), (0, 0)), constant_values=_GREY))
    part = (0, 0, seen / _CELL, _HEIGHT / _CELL)
    whole = np.empty((len(maps), height, width), np.float32)
    for small_map, large_map in zip(maps, whole, strict=True):
        large_map[:] = np.asarray(Image.fromarray(small_map).resize((width, height), Image.Resampling.LANCZOS, part))
    return people_of(whole[:_FIELD_MAPS], whole[_FIELD_MAPS:])
