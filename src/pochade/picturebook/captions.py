"""Sentences and tags for a scene, in several regular wordings."""

import numpy as np

from .scene import Scene, Thing

_RELATION_WORDS = {
    "left of": ("left of", "to the left of"),
    "right of": ("right of", "to the right of"),
    "above": ("above", "over"),
    "below": ("under", "below"),
}
_BACKGROUND_PHRASES = {
    "white background": "on a white background",
    "gray background": "on a gray background",
    "night sky": "in the night sky",
    "day sky": "in the day sky",
    "meadow": "on a meadow",
    "beach": "on a beach",
    "snow": "in the snow",
    "sunset": "at sunset",
}
_STYLE_WORDS = {
    "flat": ("", "", "flat"),
    "outline": ("outline", "outline style", "outline drawing"),
    "pixel": ("pixel", "pixel style", "pixel art"),
    "soft": ("soft", "soft style", "soft drawing"),
}


def captions(scene: Scene) -> list[str]:
    """Every wording of a scene, from both things' sides, without duplicates."""
    style_words = _STYLE_WORDS[scene.style]
    wordings = [
        f"{body}, {style}" if style else body
        for told in dict.fromkeys((scene, scene.turned()))
        for body in _bodies(told)
        for style in style_words
    ]
    return list(dict.fromkeys(wordings))


def caption(scene: Scene, rng: np.random.Generator) -> str:
    """One wording of a scene."""
    told = scene if rng.random() < 0.5 else scene.turned()
    body = _choose(_bodies(told), rng)
    style = _choose(_STYLE_WORDS[scene.style], rng)
    return f"{body}, {style}" if style else body


def _bodies(scene: Scene) -> list[str]:
    wordings = []
    for subject in _subjects(scene):
        wordings += [
            f"{subject}, {scene.background}",
            f"{subject} {_BACKGROUND_PHRASES[scene.background]}",
        ]
    return wordings


def _subjects(scene: Scene) -> list[str]:
    first = scene.things[0]
    if scene.relation is None:
        return [_named(first), _bare(first), f"a picture of {_named(first)}"]
    second = scene.things[1]
    sentences = []
    for word in _RELATION_WORDS[scene.relation]:
        sentence = f"{_named(first)} {word} {_named(second)}"
        sentences += [sentence, f"{_bare(first)} {word} {_bare(second)}", f"a picture of {sentence}"]
    return sentences


def _bare(thing: Thing) -> str:
    return f"{thing.colour} {thing.object}"


def _named(thing: Thing) -> str:
    article = "an" if thing.colour[0] in "aeiou" else "a"
    return f"{article} {_bare(thing)}"


def _choose(words: list[str] | tuple[str, ...], rng: np.random.Generator) -> str:
    return words[int(rng.integers(len(words)))]
