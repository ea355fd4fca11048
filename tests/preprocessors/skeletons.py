"""People for tests: where their joints are, and the maps that a network would see them by."""

import numpy as np

from pochade.preprocessors.people import LIMBS

_PLACES = (
    *((0.5, 0.18), (0.5, 0.28), (0.42, 0.28), (0.36, 0.4), (0.33, 0.5), (0.58, 0.28), (0.64, 0.4), (0.68, 0.52)),
    *((0.45, 0.55), (0.44, 0.72), (0.43, 0.88), (0.55, 0.55), (0.56, 0.72), (0.57, 0.88)),
    *((0.48, 0.16), (0.52, 0.16), (0.46, 0.17), (0.55, 0.17)),
)
STANDING = dict(enumerate(_PLACES))
"""Joints of someone who stands in the middle, in shares of width and height: nose, neck, right arm from the shoulder,
left arm, right leg from the hip, left leg, right eye, left eye, right ear, left ear."""

FIELDS = (31, 39, 33, 35, 41, 43, 19, 21, 23, 25, 27, 29, 47, 49, 53, 51, 55, 37, 45)
"""The first map of each limb, as the published program counts, where the 19 heat maps come before the fields."""


def standing(x=0.5, size=1.0, without=()):
    """Someone at another place, larger or smaller, of whom some joints are not seen."""
    return {
        joint: (x + (across - 0.5) * size, 0.5 + (down - 0.5) * size)
        for joint, (across, down) in STANDING.items()
        if joint not in without
    }


def maps_of(people, height, width, spread, breadth):
    """Fields [38, H, W] and heat maps [19, H, W]: a joint is hot within `spread`, a limb has arrows within `breadth`.

    Of the width, which may be broken, whole pixels are drawn.
    """
    rows, columns = np.mgrid[:height, : int(width)]
    heats, fields = (np.zeros((count, *rows.shape), np.float32) for count in (19, 38))
    for person in people:
        places = {joint: np.array([x * width - 0.3, y * height - 0.2]) for joint, (x, y) in person.items()}
        for joint, (x, y) in places.items():
            hot = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * spread**2))
            heats[joint] = np.maximum(heats[joint], hot)
        for (start, end), first in zip(LIMBS, FIELDS, strict=True):
            if start in places and end in places:
                way = places[end] - places[start]
                length = np.hypot(*way)
                across, down = columns - places[start][0], rows - places[start][1]
                along = (across * way[0] + down * way[1]) / length
                beside = abs(across * way[1] - down * way[0]) / length
                inside = (beside < breadth) & (along > -breadth) & (along < length + breadth)
                fields[first - 19 : first - 17, inside] = (way / length)[:, None]
    heats[18] = 1 - heats[:18].max(0)
    return fields, heats
