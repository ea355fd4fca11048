"""How many steps a run really makes."""

from typing import NamedTuple

import torch
from torch import Tensor

_WHOLE = 0.999  # a strength of 1 still keeps a trace of the picture


class StepCount(NamedTuple):
    """A run over an existing picture: it goes through the last `entered` + 1 intervals of a longer schedule."""

    schedule: int
    entered: int


def image_steps(steps: int, strength: float, exact: bool = False) -> StepCount:
    """The rule of image-to-image; `exact` (and the second pass of hires fix) really makes `steps` steps."""
    strength = min(strength, _WHOLE)
    if exact:
        return StepCount(int(steps / strength) if strength > 0 else 0, steps - 1)
    return StepCount(steps, int(strength * steps))


def spaced_timesteps(steps: int, total: int = 1000) -> Tensor:
    """Rising timesteps of the DDIM family; a count that does not divide 1000 gives more than asked."""
    return (torch.arange(0, total, max(total // steps, 1)) + 1).clamp(0, total - 1)
