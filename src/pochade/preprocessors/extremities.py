"""Hands and faces of people: where they are, and the points that networks find in them."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from pochade.preprocessors.canny import continued
from pochade.preprocessors.filters import Floats, gaussian
from pochade.preprocessors.learned import Network
from pochade.preprocessors.people import EARS, EYES, LEFT_ARM, NOSE, RIGHT_ARM, Point
from pochade.preprocessors.pictures import Mask, Picture, resampled

Points = Sequence[Point | None]

_SMALLEST = 20  # pixels
_BEYOND = 0.33  # a hand's middle lies so much beyond the wrist, of the forearm's length
_HAND_SIZE, _UPPER_ARM = 1.5, 0.9  # of the forearm's length; an upper arm counts as a forearm so much shorter
_EYE_SIZE, _EAR_SIZE = 3.0, 1.5  # half a face, of how far eyes and ears are from the nose

_HAND_SIDES = (184, 368, 552, 736)  # of the pictures that the hand's network sees, one after the other
_HAND_MAP = 128
_HAND_POINTS = 21
_HAND_SOFTNESS, _MAP_SOFTNESS = 0.8, 3.0
_FACE_SIDE = 384
_WARM = 0.05  # a map that is nowhere warmer holds no point


class Box(NamedTuple):
    """A square of a picture, which may reach beyond it."""

    x: int
    y: int
    side: int

    def cut(self, picture: Picture) -> Picture:
        """What of a picture lies inside."""
        return picture[self.y : self.y + self.side, self.x : self.x + self.side]


def hand_boxes(joints: Mapping[int, Point], width: int, height: int) -> list[Box]:
    """Where the hands are of which the whole arm is known, the left one first."""
    arms = [[joints[each] for each in arm] for arm in (LEFT_ARM, RIGHT_ARM) if set(arm) <= joints.keys()]
    boxes = [_hand_box(arm, width, height) for arm in arms]
    return [each for each in boxes if each]


def _hand_box(arm: Sequence[Point], width: int, height: int) -> Box | None:
    shoulder, elbow, wrist = (np.array(each[:2]) for each in arm)
    forearm, upper = (float(np.hypot(*each)) for each in (wrist - elbow, elbow - shoulder))
    side = _HAND_SIZE * max(forearm, _UPPER_ARM * upper)
    x, y = np.maximum(wrist + _BEYOND * (wrist - elbow) - side / 2, 0).tolist()
    return _box(x, y, min(side, width - x, height - y))


def face_box(joints: Mapping[int, Point], width: int, height: int) -> Box | None:
    """Where a face is, of which the nose and an eye or an ear are known."""
    if NOSE not in joints:
        return None
    nose = joints[NOSE]
    reaches = dict.fromkeys(EYES, _EYE_SIZE) | dict.fromkeys(EARS, _EAR_SIZE)
    found = {each: joints[each] for each in reaches if each in joints}
    half = max((reaches[each] * max(abs(nose.x - at.x), abs(nose.y - at.y)) for each, at in found.items()), default=0)
    x, y = max(nose.x - half, 0), max(nose.y - half, 0)
    # the original looks only whether half a face reaches beyond the picture
    sides = [edge - at if at + half > edge else 2 * half for at, edge in ((x, width), (y, height))]
    return _box(x, y, min(sides))


def _box(x: float, y: float, side: float) -> Box | None:
    """A square, unless it is too small to see anything in it."""
    return Box(int(x), int(y), int(side)) if side >= _SMALLEST else None


def hand_points(picture: Picture, box: Box, network: Network) -> Points:
    """The 21 points of a hand: the wrist, then each finger from its root to its tip."""
    seen = gaussian(box.cut(picture), _HAND_SOFTNESS).round().astype(np.uint8)
    maps = np.mean([_resized(network(_squared(seen, side)), _HAND_MAP) for side in _HAND_SIDES], axis=0)
    rows, columns = seen.shape[0] / _HAND_MAP, seen.shape[1] / _HAND_MAP
    places = [_surest(each) for each in maps[:_HAND_POINTS]]
    return [place and _inside(box, int(place[0] * rows), int(place[1] * columns)) for place in places]


def face_points(picture: Picture, box: Box, network: Network) -> Points:
    """The 70 points of a face and, as the original draws it, where it is surest that no point is."""
    seen = box.cut(picture)
    maps = [_stretched(each, *seen.shape[:2]) for each in network(_squared(seen, _FACE_SIDE))]
    places = [np.unravel_index(each.argmax(), each.shape) for each in maps if each.max() > _WARM]
    return [_inside(box, int(row), int(column)) for row, column in places]


def _inside(box: Box, row: int, column: int) -> Point | None:
    """A point of the picture; at the box's upper and left rim the original sees none."""
    return Point(box.x + column, box.y + row) if row and column else None


def _squared(picture: Picture, side: int) -> Picture:
    shrinks = side * 2 < sum(picture.shape[:2])
    squared: Picture = resampled(picture, side, side, Image.Resampling.BOX if shrinks else Image.Resampling.LANCZOS)
    return squared


def _resized(maps: Floats, side: int) -> Floats:
    return np.stack([resampled(each, side, side, Image.Resampling.LANCZOS) for each in maps])


def _stretched(values: Floats, height: int, width: int) -> Floats:
    """A map at another size, its corners still at the corners, with straight lines between its values."""
    rows, columns = values.shape
    return (_between(rows, height) @ values @ _between(columns, width).T).astype(np.float32)


def _between(old: int, new: int) -> Floats:
    """How much each old value counts for each new one, [new, old]."""
    places = np.linspace(0, old - 1, new)
    distances = abs(places[:, None] - np.arange(old))
    return (1 - distances).clip(0).astype(np.float32)


def _surest(heat: Floats) -> tuple[int, int] | None:
    """Row and column of the hottest place in the warm region that is hottest as a whole."""
    warm = gaussian(heat, _MAP_SOFTNESS) > _WARM
    if not warm.any():
        return None
    region = max(_regions(warm), key=lambda each: float(heat[each].sum()))
    row, column = np.unravel_index(np.where(region, heat, 0).argmax(), heat.shape)
    return int(row), int(column)


def _regions(mask: Mask) -> list[Mask]:
    """The parts of a mask that hang together."""
    found = []
    while mask.any():
        seed = np.zeros_like(mask)
        seed.flat[mask.argmax()] = True
        found.append(continued(seed, mask))
        mask = mask & ~found[-1]
    return found
