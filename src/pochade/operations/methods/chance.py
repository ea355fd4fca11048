"""Random numbers that are the same on every machine and in every replay: told by seed, tensor and model alone."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from pochade.operations.methods.method import Stack

_BITS = 24  # as many as a float32 holds


def dice(stack: Stack) -> list[Callable[[Any], Any]]:
    """Return for each tuned model what throws: it gives numbers from 0 to below 1, as many as a tensor has.

    How a tensor is cut into blocks makes no difference. numpy keeps the bits of a seeded PCG64 for good (its policy on
    compatibility), which it does not of the floats that it makes of them.
    """
    seed = int(stack.settings["seed"])
    sources = (
        np.random.PCG64(np.random.SeedSequence([seed, number, *stack.name.encode()]))
        for number in range(1, stack.models)
    )
    return [partial(_throw, source) for source in sources]


def _throw(source: np.random.PCG64, like: Any) -> Any:
    import torch

    bits = source.random_raw(like.numel())
    bits >>= np.uint64(64 - _BITS)
    return torch.from_numpy(bits.astype(np.float32)).mul_(2.0**-_BITS).view(like.shape)
