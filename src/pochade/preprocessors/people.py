"""Who is in a picture: joints where heat maps are hot, put together along fields that lead from joint to joint.

Cao et al., "OpenPose" (2018, arXiv:1812.08008): 18 joints, and for each limb a field of arrows from its first joint to
its second. The numbers are those of the published program.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import NamedTuple

import numpy as np

from pochade.preprocessors.filters import Floats, gaussian

JOINTS = 18
NOSE = 0
RIGHT_ARM, LEFT_ARM = (2, 3, 4), (5, 6, 7)  # shoulder, elbow, wrist
EYES, EARS = (14, 15), (16, 17)

LIMBS = (
    *((1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10), (1, 11), (11, 12), (12, 13)),
    *((1, 0), (0, 14), (14, 16), (0, 15), (15, 17), (2, 16), (5, 17)),
)
"""The two joints of each limb; the last two, from shoulder to ear, only join what is known."""

_FIELDS = (12, 20, 14, 16, 22, 24, 0, 2, 4, 6, 8, 10, 28, 30, 34, 32, 36, 18, 26)  # the first map of each limb's field
_SMOOTHNESS = 3.0
_HOT = 0.1
_STEPS = 10  # places along a limb where its field is looked at
_LEADS = 0.05
_MOST = 0.8  # of these places that must lead along the limb
_LONGEST = 0.5  # of the picture's height; a longer limb counts less
_LEAST_JOINTS = 4
_LEAST_SCORE = 0.4


class Point(NamedTuple):
    """A place in a picture, and how surely something is there."""

    x: float
    y: float
    score: float = 1.0


@dataclass
class Person:
    """Joints by number. `score` sums joints and limbs, `count` is how many joints were put in."""

    joints: dict[int, Point] = field(default_factory=dict)
    score: float = 0.0
    count: int = 0

    def add(self, joint: int, point: Point, score: float) -> None:
        """Put a joint in that a limb of this score leads to."""
        self.joints[joint] = point
        self.score += point.score + score
        self.count += 1

    def join(self, other: "Person", score: float) -> None:
        """Take all of another in, to whom a limb of this score leads."""
        self.joints |= other.joints
        self.score += other.score + score
        self.count += other.count


def people_of(fields: Floats, heats: Floats) -> list[Person]:
    """The people that fields [38, H, W] and heat maps [19, H, W] of a picture tell of."""
    peaks = [peaks_of(each) for each in heats[:JOINTS]]
    people: list[Person] = []
    for (start, end), first in zip(LIMBS, _FIELDS, strict=True):
        for limb in _limbs(fields[first : first + 2], peaks[start], peaks[end]):
            _assign(people, (start, end), limb)
    return [each for each in people if each.count >= _LEAST_JOINTS and each.score / each.count >= _LEAST_SCORE]


def peaks_of(heat: Floats) -> list[Point]:
    """Places of a smoothed heat map [H, W] that are hot, and hotter than those beside; of equal ones the first."""
    if heat.max() <= _HOT:
        return []
    smooth = gaussian(heat, _SMOOTHNESS)
    wide = np.pad(smooth, 1)
    above, below, left, right = wide[:-2, 1:-1], wide[2:, 1:-1], wide[1:-1, :-2], wide[1:-1, 2:]
    is_peak = (smooth > above) & (smooth >= below) & (smooth > left) & (smooth >= right)
    rows, columns = np.nonzero(is_peak & (smooth > _HOT))
    return [Point(int(x), int(y), float(heat[y, x])) for x, y in zip(columns, rows, strict=True)]


class _Limb(NamedTuple):
    start: Point
    end: Point
    score: float


def _limbs(arrows: Floats, starts: Sequence[Point], ends: Sequence[Point]) -> list[_Limb]:
    """The best limbs from joints to joints, each used once."""
    found = [_Limb(a, b, score) for a, b in product(starts, ends) if (score := _score(arrows, a, b)) > 0]
    chosen: list[_Limb] = []
    for limb in sorted(found, key=lambda each: -each.score):
        if all(limb.start is not each.start and limb.end is not each.end for each in chosen):
            chosen.append(limb)
    return chosen


def _score(arrows: Floats, start: Point, end: Point) -> float:
    """How well arrows [2, H, W] lead from one joint to another; 0 where it does not."""
    way = np.subtract(end[:2], start[:2])
    length = max(0.001, float(np.hypot(*way)))
    columns, rows = np.linspace(start[:2], end[:2], _STEPS).round().astype(int).T
    along = way @ arrows[:, rows, columns] / length
    if np.count_nonzero(along > _LEADS) <= _MOST * _STEPS:
        return 0.0
    too_long: float = _LONGEST * arrows.shape[1] / length - 1
    return float(along.mean()) + min(too_long, 0.0)


def _assign(people: list[Person], joints: tuple[int, int], limb: _Limb) -> None:
    """Give a limb to whom one of its joints belongs already, or to someone new."""
    start, end = joints
    owners = [each for each in people if each.joints.get(start) is limb.start or each.joints.get(end) is limb.end]
    if not owners:
        if joints not in LIMBS[-2:]:
            score = limb.score + limb.start.score + limb.end.score
            people.append(Person({start: limb.start, end: limb.end}, score, 2))
        return
    first, *others = owners
    if others and not first.joints.keys() & others[0].joints.keys():
        first.join(others[0], limb.score)
        people[:] = [each for each in people if each is not others[0]]
    elif first.joints.get(end) is not limb.end:
        first.add(end, limb.end, limb.score)
