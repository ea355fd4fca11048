"""Where training pictures and their captions come from."""

from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Pixels = npt.NDArray[np.uint8]


class Pictures(Protocol):
    """A numbered collection of captioned pictures, all of one size."""

    def __len__(self) -> int:
        """How many pictures there are."""

    def picture(self, index: int) -> Pixels:
        """One picture, [height, width, 3]."""

    def caption(self, index: int, rng: np.random.Generator) -> str:
        """A caption of the picture; where it has several wordings, `rng` chooses."""


def as_tensor(pictures: list[Pixels]) -> Tensor:
    """Pictures of one size to a tensor in -1..1 [B, 3, H, W], float32."""
    # contiguous, because group norm goes backwards at a third of the speed when channels lie last
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous().float().div(127.5).sub(1)
