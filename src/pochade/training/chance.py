"""Chance by counters: every draw is a function of (seed, what it is for, numbers), never of what was drawn before.

So a run that was killed and resumed, or sampled in between, sees exactly the batches and noise of one that was not.
"""

from zlib import crc32

import numpy as np
import torch
from torch import Tensor


def generator(seed: int, purpose: str, *numbers: int) -> np.random.Generator:
    """A numpy generator of its own for one purpose, e.g. `generator(1, "order", epoch)`."""
    return np.random.default_rng([seed, crc32(purpose.encode()), *numbers])


def normal(shape: tuple[int, ...], seed: int, purpose: str, *numbers: int) -> Tensor:
    """Unit Gaussian noise on the CPU, float32."""
    source = torch.Generator().manual_seed(int(generator(seed, purpose, *numbers).integers(2**62)))
    return torch.randn(shape, generator=source)


def batch_of(count: int, size: int, seed: int, step: int) -> list[tuple[int, int]]:
    """The (epoch, index) pairs of one step: every index once per epoch, in an order of that epoch's own."""
    places = range(step * size, (step + 1) * size)
    orders = {
        epoch: generator(seed, "order", epoch).permutation(count) for epoch in {place // count for place in places}
    }
    return [(place // count, int(orders[place // count][place % count])) for place in places]
