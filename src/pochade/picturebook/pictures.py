"""The picture-book as captioned pictures: scene n is drawn from (seed, n), so it never ends or changes."""

from functools import lru_cache

import numpy as np

from pochade.picturebook.captions import caption
from pochade.picturebook.paint import paint
from pochade.picturebook.scene import Scene, Split, random_scene


class PictureBook:
    """`count` pictures of the world; `split` "test" gives scenes that no training run sees."""

    def __init__(self, count: int, seed: int = 0, split: Split = "train") -> None:
        self._count = count
        self._seed = seed
        self._split = split
        self.scene = lru_cache(maxsize=None)(self._scene)

    def __len__(self) -> int:
        return self._count

    def _scene(self, index: int) -> Scene:
        return random_scene(np.random.default_rng([self._seed, self._split == "test", index]), self._split)

    def picture(self, index: int) -> np.ndarray:
        """One picture, uint8 [128, 128, 3]."""
        return np.asarray(paint(self.scene(index)))

    def caption(self, index: int, rng: np.random.Generator) -> str:
        """One of the wordings of the scene."""
        return caption(self.scene(index), rng)
