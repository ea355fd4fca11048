"""The prompts that measure a model of the picture-book: scenes that training never shows, in fixed order."""

import numpy as np

from .captions import caption
from .scene import Scene, random_scene


def evaluation_prompts(count: int = 200, seed: int = 20260) -> list[tuple[str, Scene]]:
    """Prompts with the scenes they describe: the same ones for the same seed, one half with one object each."""
    rng = np.random.default_rng(seed)
    wanted = {1: (count + 1) // 2, 2: count // 2}
    prompts: list[tuple[str, Scene]] = []
    while len(prompts) < count:
        scene = random_scene(rng, "test")
        if wanted[len(scene.things)] > 0:
            wanted[len(scene.things)] -= 1
            prompts.append((caption(scene, rng), scene))
    return prompts
