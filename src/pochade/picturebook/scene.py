"""Scenes: what a picture of the picture-book shows, drawn at random, and which of them are kept for evaluation."""

from dataclasses import dataclass, replace
from typing import Literal
from zlib import crc32

import numpy as np

from .objects import OBJECTS
from .palette import BACKGROUNDS, SIZE, visible_colours

Split = Literal["train", "test"]

RELATIONS = ("left of", "right of", "above", "below")
STYLES = ("flat", "outline", "pixel", "soft")
OPPOSITE = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}

_SINGLE_SHARE = 0.55
_STYLE_SHARES = (0.58, 0.14, 0.14, 0.14)
_TEST_PERCENT = 8


@dataclass(frozen=True)
class Thing:
    """One object: its name, colour name, centre and size of its box in pixels."""

    object: str
    colour: str
    x: int
    y: int
    size: int


@dataclass(frozen=True)
class Scene:
    """One or two things before a background; `relation` says how the first stands to the second."""

    things: tuple[Thing, ...]
    relation: str | None
    background: str
    style: str = "flat"

    def turned(self) -> "Scene":
        """The same picture told from the other thing's side."""
        if self.relation is None:
            return self
        return replace(self, things=self.things[::-1], relation=OPPOSITE[self.relation])


def split_of(scene: Scene) -> Split:
    """Where a scene belongs. Its objects, colours, background and relation decide, never place, size or style."""
    told = scene if scene.relation in (None, "left of", "above") else scene.turned()
    facts = [*(f"{thing.colour} {thing.object}" for thing in told.things), told.relation or "", told.background]
    return "test" if crc32("|".join(facts).encode()) % 100 < _TEST_PERCENT else "train"


def random_scene(rng: np.random.Generator, split: Split | None = None) -> Scene:
    """A scene with every choice equally likely among those that stay clear to see."""
    while True:
        scene = _draw(rng)
        if split is None or split_of(scene) == split:
            return scene


def _draw(rng: np.random.Generator) -> Scene:
    background = _pick(rng, tuple(BACKGROUNDS))
    style = STYLES[int(rng.choice(len(STYLES), p=_STYLE_SHARES))]
    colours = visible_colours(background)
    if rng.random() < _SINGLE_SHARE:
        size = _around(rng, 68, 12)
        thing = Thing(_pick(rng, tuple(OBJECTS)), _pick(rng, colours), *_place(rng, 0.5, 0.5, 9), size)
        return Scene((thing,), None, background, style)
    relation = _pick(rng, RELATIONS)
    names = rng.permutation(list(OBJECTS))[:2]
    places = _pair_of_places(rng, relation)
    things = (
        Thing(str(name), _pick(rng, colours), *place, _around(rng, 46, 4))
        for name, place in zip(names, places, strict=True)
    )
    return Scene(tuple(things), relation, background, style)


def _pair_of_places(rng: np.random.Generator, relation: str) -> list[tuple[int, int]]:
    centres = [0.25, 0.75] if relation in ("left of", "above") else [0.75, 0.25]
    if relation in ("left of", "right of"):
        return [(round(SIZE * centre) + _around(rng, 0, 3), _around(rng, 64, 9)) for centre in centres]
    return [(_around(rng, 64, 9), round(SIZE * centre) + _around(rng, 0, 3)) for centre in centres]


def _place(rng: np.random.Generator, x: float, y: float, jitter: int) -> tuple[int, int]:
    return (_around(rng, round(SIZE * x), jitter), _around(rng, round(SIZE * y), jitter))


def _around(rng: np.random.Generator, middle: int, jitter: int) -> int:
    return middle + int(rng.integers(-jitter, jitter + 1))


def _pick(rng: np.random.Generator, choices: tuple[str, ...]) -> str:
    return choices[int(rng.integers(len(choices)))]
