"""The loss of a run as a picture: every step as a dot, their running mean as a line, validation as rings."""

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from PIL import Image, ImageDraw

WIDTH, HEIGHT = 900, 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 16, 28, 36
_DOT, _LINE, _RING, _GRID, _TEXT = (190, 205, 235), (30, 80, 200), (210, 60, 30), (225, 225, 225), (60, 60, 60)
_MEMORY = 0.98  # of the running mean


def plot(log: Path, title: str) -> Image.Image:
    """Draw a run's log.jsonl; losses are on a logarithmic scale."""
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    losses = [(line["step"], line["loss"]) for line in lines]
    checks = [(line["step"], line["validation"]) for line in lines if "validation" in line]
    image = Image.new("RGB", (WIDTH, HEIGHT), "white")
    if losses:
        _Axes(losses + checks, ImageDraw.Draw(image)).draw(title, losses, checks)
    return image


class _Axes:
    """Where a step and a loss lie on the picture."""

    def __init__(self, points: Sequence[tuple[int, float]], pencil: ImageDraw.ImageDraw) -> None:
        values = [max(value, 1e-9) for _, value in points]
        self.pencil = pencil
        self.last = max(step for step, _ in points)
        self.low, self.high = math.log(min(values)) - 0.05, math.log(max(values)) + 0.05

    def place(self, step: int, value: float) -> tuple[float, float]:
        """Pixel of a point."""
        up = (math.log(max(value, 1e-9)) - self.low) / (self.high - self.low)
        across = step / self.last
        return _LEFT + across * (WIDTH - _LEFT - _RIGHT), HEIGHT - _BOTTOM - up * (HEIGHT - _TOP - _BOTTOM)

    def draw(self, title: str, losses: Sequence[tuple[int, float]], checks: Iterable[tuple[int, float]]) -> None:
        """The grid, then the dots, the line and the rings."""
        self.pencil.text((_LEFT, 8), title, _TEXT)
        for value in _round_values(math.exp(self.low), math.exp(self.high)):
            self._rule(self.place(0, value), self.place(self.last, value), f"{value:g}")
        for quarter in range(5):
            step = self.last * quarter // 4
            self.pencil.text((self.place(step, math.exp(self.low))[0] - 12, HEIGHT - _BOTTOM + 8), str(step), _TEXT)
        for step, value in losses:
            self.pencil.point(self.place(step, value), _DOT)
        self.pencil.line([self.place(*point) for point in _running_mean(losses)], _LINE, 2)
        for point in checks:
            x, y = self.place(*point)
            self.pencil.ellipse((x - 3, y - 3, x + 3, y + 3), outline=_RING)

    def _rule(self, start: tuple[float, float], end: tuple[float, float], label: str) -> None:
        self.pencil.line([start, end], _GRID)
        self.pencil.text((6, start[1] - 6), label, _TEXT)


def _running_mean(points: Iterable[tuple[int, float]]) -> Iterator[tuple[int, float]]:
    total = weight = 0.0
    for step, value in points:
        total, weight = _MEMORY * total + value, _MEMORY * weight + 1
        yield step, total / weight


def _round_values(low: float, high: float) -> list[float]:
    """1, 2, 5 times powers of ten between the two."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [digit * 10.0**power for power in powers for digit in (1, 2, 5) if low <= digit * 10.0**power <= high]
