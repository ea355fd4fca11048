"""Upscalers of ESRGAN's kind: how many times larger they make a picture, and how deep they are."""

import re
from math import isqrt

from pochade.families import Shapes

_BLOCK = re.compile(r"(?:body|RRDB_trunk|model\.1\.sub)\.(\d+)\.(?:rdb|RDB)1\.")
_UP = re.compile(r"(?:conv_up|upconv)\d\.weight")
_OLD = re.compile(r"model\.(\d{1,4})\.weight")
_COMPACT = re.compile(r"body\.(\d{1,4})\.weight")
_NOT_UP = 3  # of the old naming's convolutions: the first one and the two after enlarging
_MOST_DOUBLINGS = 5
_CONVOLUTION = 4


def is_compact(shapes: Shapes) -> bool:
    """Tell whether it is Real-ESRGAN's small network: a row of convolutions, each with slopes behind it."""
    return [len(shapes.get(f"body.{at}.weight", ())) for at in (0, 1)] == [_CONVOLUTION, 1]


def blocks(shapes: Shapes) -> int | None:
    """Return the number of RRDB blocks; None for a network without them."""
    return len({found[1] for found in map(_BLOCK.match, shapes) if found}) or None


def scale(shapes: Shapes) -> int | None:
    """Return how many times larger a picture becomes; None where names and shapes do not tell."""
    if is_compact(shapes):
        last = max(int(found[1]) for found in map(_COMPACT.fullmatch, shapes) if found)
        return _side(shapes.get(f"body.{last}.weight", ())[:1], shapes["body.0.weight"][1:2])
    if blocks(shapes) is None:
        return None
    old = sorted(int(found[1]) for found in map(_OLD.fullmatch, shapes) if found)
    first, end = (f"model.{old[0]}", f"model.{old[-1]}") if old else ("conv_first", "conv_last")
    doublings = len(old) - _NOT_UP if old else sum(bool(_UP.fullmatch(name)) for name in shapes)
    shrunk = _side(shapes.get(f"{first}.weight", ())[1:2], shapes.get(f"{end}.weight", ())[:1])
    if shrunk is None or not 0 <= doublings <= _MOST_DOUBLINGS:
        return None
    return 2**doublings // shrunk or None


def _side(many: tuple[int, ...], few: tuple[int, ...]) -> int | None:
    """Return the side of the squares of pixels that lie in so many channels more; None if they are no squares."""
    if not many or not few or not few[0]:
        return None
    side = isqrt(many[0] // few[0])
    return side if side and few[0] * side**2 == many[0] else None
