"""The sixteen drawings: flat shapes in a box from -1 to 1, x to the right and y downwards."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import cos, pi, sin

Point = tuple[float, float]


@dataclass(frozen=True)
class Shape:
    """One flat piece. `tone` names its paint; a `width` above 0 makes it an open line instead of an area.

    Details lie inside the silhouette: the outline style leaves out the light ones and keeps the dark ones.
    """

    points: tuple[Point, ...]
    tone: str = "fill"
    width: float = 0.0
    detail: bool = False


def _area(*points: Point, tone: str = "fill") -> Shape:
    return Shape(points, tone)


def _box(left: float, top: float, right: float, bottom: float) -> tuple[Point, ...]:
    return ((left, top), (right, top), (right, bottom), (left, bottom))


def _arc(
    x: float, y: float, rx: float, ry: float, start: float = 0.0, end: float = 1.0, tilt: float = 0.0
) -> list[Point]:
    """Points of an ellipse from turn `start` to turn `end` (0 = right, 0.25 = down), tilted by turns."""
    count = max(8, round(36 * abs(end - start)))
    points = []
    for step in range(count + 1):
        turn = 2 * pi * (start + (end - start) * step / count)
        along, across = rx * cos(turn), ry * sin(turn)
        lean = 2 * pi * tilt
        points.append((x + along * cos(lean) - across * sin(lean), y + along * sin(lean) + across * cos(lean)))
    return points


def _oval(x: float, y: float, rx: float, ry: float, tone: str = "fill", tilt: float = 0.0) -> Shape:
    return Shape(tuple(_arc(x, y, rx, ry, tilt=tilt)), tone)


def _spot(x: float, y: float, rx: float, ry: float, tone: str = "light", tilt: float = 0.0) -> Shape:
    return Shape(tuple(_arc(x, y, rx, ry, tilt=tilt)), tone, detail=True)


def _patch(points: Iterable[Point], tone: str = "light") -> Shape:
    return Shape(tuple(points), tone, detail=True)


def _line(*points: Point, tone: str, width: float, detail: bool = False) -> Shape:
    return Shape(points, tone, width, detail)


def _wheel(points: int, outer: float, inner: float) -> tuple[Point, ...]:
    """A star polygon with its first tip pointing up."""
    radii = [outer, inner] * points
    return tuple((r * sin(pi * i / points), -r * cos(pi * i / points)) for i, r in enumerate(radii))


def _house() -> list[Shape]:
    return [
        _area(*_box(0.36, -0.9, 0.64, -0.3), tone="shade"),
        _area(*_box(-0.74, -0.1, 0.74, 0.95)),
        _area((-1.0, 0.02), (0.0, -0.95), (1.0, 0.02), tone="shade"),
        _patch(_box(-0.54, 0.22, -0.12, 0.62)),
        _patch(_box(0.14, 0.28, 0.52, 0.95), tone="shade"),
    ]


def _tree() -> list[Shape]:
    return [
        _area(*_box(-0.16, 0.5, 0.16, 1.0), tone="wood"),
        _area((-0.85, 0.66), (0.0, -0.25), (0.85, 0.66)),
        _area((-0.68, 0.14), (0.0, -0.65), (0.68, 0.14)),
        _area((-0.5, -0.34), (0.0, -1.0), (0.5, -0.34)),
    ]


def _sun() -> list[Shape]:
    return [
        _area(*_wheel(12, 1.0, 0.62)),
        _oval(0, 0, 0.66, 0.66),
        _spot(-0.24, -0.14, 0.09, 0.12, tone="ink"),
        _spot(0.24, -0.14, 0.09, 0.12, tone="ink"),
        _line(*_arc(0, 0.06, 0.3, 0.26, 0.06, 0.44), tone="ink", width=0.11, detail=True),
    ]


def _moon() -> list[Shape]:
    outer = _arc(0.12, 0, 0.98, 0.98, 0.86, 0.14 - 0.0)
    inner = _arc(0.52, 0, 0.76, 0.76, 0.23, 0.77)
    return [_area(*outer, *inner)]


def _star() -> list[Shape]:
    return [_area(*((x * 1.03, y * 1.03 + 0.08) for x, y in _wheel(5, 1.0, 0.44)))]


def _flower() -> list[Shape]:
    petals = [_oval(0.4 * sin(2 * pi * i / 5), -0.38 - 0.4 * cos(2 * pi * i / 5), 0.32, 0.32) for i in range(5)]
    return [
        _line((0, -0.2), (0, 0.98), tone="leaf", width=0.15),
        _oval(-0.3, 0.62, 0.34, 0.14, "leaf", tilt=0.1),
        _oval(0.3, 0.62, 0.34, 0.14, "leaf", tilt=-0.1),
        *petals,
        _oval(0, -0.38, 0.34, 0.34),
        _spot(0, -0.38, 0.24, 0.24),
    ]


def _fish() -> list[Shape]:
    return [
        _area((0.35, 0.0), (1.0, -0.52), (0.86, 0.0), (1.0, 0.52), tone="shade"),
        _area((-0.45, -0.3), (0.0, -0.78), (0.35, -0.2), tone="shade"),
        _oval(-0.24, 0.03, 0.76, 0.5),
        _patch([(-0.02, 0.02), (0.3, -0.06), (0.26, 0.3)], tone="shade"),
        _spot(-0.58, -0.1, 0.15, 0.15),
        _spot(-0.6, -0.1, 0.08, 0.08, tone="ink"),
    ]


def _boat() -> list[Shape]:
    return [
        _line((0.0, -0.98), (0.0, 0.5), tone="wood", width=0.11),
        _area((0.05, -0.92), (0.05, 0.22), (0.82, 0.22)),
        _area((-0.08, -0.72), (-0.08, 0.22), (-0.66, 0.22), tone="shade"),
        _area((-1.0, 0.36), (1.0, 0.36), (0.68, 0.95), (-0.68, 0.95)),
    ]


def _heart() -> list[Shape]:
    points = []
    for step in range(60):
        turn = 2 * pi * step / 60
        x = 16 * sin(turn) ** 3
        y = 13 * cos(turn) - 5 * cos(2 * turn) - 2 * cos(3 * turn) - cos(4 * turn)
        points.append((x / 16.5, -y / 15.5 - 0.08))
    return [_area(*points), _spot(-0.48, -0.42, 0.2, 0.12, tilt=-0.12)]


def _cat() -> list[Shape]:
    whiskers = [
        _line((side * 0.4, 0.36), (side * 0.8, height), tone="ink", width=0.07, detail=True)
        for side in (-1, 1)
        for height in (0.24, 0.48)
    ]
    return [
        _area((-0.92, -0.95), (-0.22, -0.5), (-0.86, 0.1)),
        _area((0.92, -0.95), (0.22, -0.5), (0.86, 0.1)),
        _oval(0, 0.18, 0.94, 0.76),
        _patch([(-0.78, -0.68), (-0.44, -0.46), (-0.72, -0.22)], tone="shade"),
        _patch([(0.78, -0.68), (0.44, -0.46), (0.72, -0.22)], tone="shade"),
        _spot(-0.36, 0.02, 0.13, 0.18, tone="ink"),
        _spot(0.36, 0.02, 0.13, 0.18, tone="ink"),
        _patch([(-0.13, 0.3), (0.13, 0.3), (0.0, 0.46)], tone="ink"),
        *whiskers,
    ]


def _mountain() -> list[Shape]:
    return [
        _area((-0.1, 0.8), (0.48, -0.36), (1.0, 0.8)),
        _area((-1.0, 0.8), (-0.3, -0.85), (0.42, 0.8)),
        _patch([(0.48, -0.36), (1.0, 0.8), (0.42, 0.8), (0.3, 0.5)], tone="shade"),
        _patch([(-0.3, -0.85), (0.42, 0.8), (-0.18, 0.8)], tone="shade"),
        _patch([(-0.3, -0.66), (-0.52, -0.16), (-0.38, -0.26), (-0.27, -0.1), (-0.16, -0.26), (-0.08, -0.18)]),
    ]


def _car() -> list[Shape]:
    return [
        _area((-0.62, 0.06), (-0.4, -0.52), (0.36, -0.52), (0.66, 0.06)),
        _area((-1.0, 0.1), (-0.9, -0.04), (0.86, -0.04), (1.0, 0.14), (1.0, 0.44), (-1.0, 0.44)),
        _oval(-0.52, 0.44, 0.27, 0.27, "tyre"),
        _oval(0.52, 0.44, 0.27, 0.27, "tyre"),
        _spot(-0.52, 0.44, 0.12, 0.12),
        _spot(0.52, 0.44, 0.12, 0.12),
        _patch([(-0.44, -0.02), (-0.3, -0.38), (-0.04, -0.38), (-0.04, -0.02)]),
        _patch([(0.08, -0.02), (0.08, -0.38), (0.28, -0.38), (0.46, -0.02)]),
    ]


def _apple() -> list[Shape]:
    return [
        _line((0.0, -0.4), (0.06, -0.94), tone="wood", width=0.14),
        _oval(0.38, -0.76, 0.34, 0.17, "leaf", tilt=-0.06),
        _oval(-0.36, 0.1, 0.54, 0.62),
        _oval(0.36, 0.1, 0.54, 0.62),
        _oval(-0.22, 0.52, 0.4, 0.44),
        _oval(0.22, 0.52, 0.4, 0.44),
        _spot(-0.5, -0.08, 0.12, 0.22, tilt=0.06),
    ]


def _umbrella() -> list[Shape]:
    scallops = [
        point for right in (1.0, 0.3333, -0.3333) for point in _arc(right - 0.3333, 0.12, 0.3333, 0.2, 0.0, -0.5)
    ]
    hook = [(0.0, -0.9), (0.0, 0.72), *_arc(0.19, 0.72, 0.19, 0.2, 0.5, 0.0)]
    return [
        _line(*hook, tone="tyre", width=0.12),
        _area(*_arc(0, 0.12, 1.0, 0.98, 0.5, 1.0), *scallops),
        _patch([*_arc(0, 0.12, 0.34, 0.98, 0.5, 1.0), *_arc(0, 0.12, 0.3333, 0.2, 0.0, -0.5)], tone="shade"),
    ]


def _mushroom() -> list[Shape]:
    return [
        _area((-0.28, 0.0), (0.28, 0.0), (0.38, 0.9), (0.2, 1.0), (-0.2, 1.0), (-0.38, 0.9), tone="stalk"),
        _area(*_arc(0, 0.2, 1.0, 1.15, 0.5, 1.0), (0.9, 0.32), (-0.9, 0.32)),
        _spot(-0.5, -0.1, 0.18, 0.18),
        _spot(0.06, -0.5, 0.2, 0.18),
        _spot(0.52, -0.02, 0.16, 0.16),
    ]


def _butterfly() -> list[Shape]:
    wings = []
    for side in (-1, 1):
        wings += [
            _oval(side * 0.42, 0.42, 0.32, 0.44, "shade", tilt=-side * 0.1),
            _oval(side * 0.54, -0.28, 0.5, 0.4, tilt=side * -0.11),
        ]
    antennae = [_line((0, -0.35), (side * 0.3, -0.95), tone="tyre", width=0.09) for side in (-1, 1)]
    spots = [_spot(side * 0.58, -0.32, 0.17, 0.17) for side in (-1, 1)]
    return [*antennae, *wings, _oval(0, 0.06, 0.12, 0.56, "tyre"), *spots]


OBJECTS: dict[str, tuple[Shape, ...]] = {
    "house": tuple(_house()),
    "tree": tuple(_tree()),
    "sun": tuple(_sun()),
    "moon": tuple(_moon()),
    "star": tuple(_star()),
    "flower": tuple(_flower()),
    "fish": tuple(_fish()),
    "boat": tuple(_boat()),
    "heart": tuple(_heart()),
    "cat": tuple(_cat()),
    "mountain": tuple(_mountain()),
    "car": tuple(_car()),
    "apple": tuple(_apple()),
    "umbrella": tuple(_umbrella()),
    "mushroom": tuple(_mushroom()),
    "butterfly": tuple(_butterfly()),
}
