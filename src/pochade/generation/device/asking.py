"""One question to a UNet, in a way that memory suffices for."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from pochade.generation.device.memory import Memory, Way, in_rows
from pochade.sampling import Conditions

Ask = Callable[[Tensor, Tensor, Conditions], Tensor]
"""Latents [N, C, h, w], timesteps [N] and conditions of N rows to predictions [N, C, h, w]."""


def asked(
    ask: Ask, latents: Tensor, timesteps: Tensor, conditions: Conditions, memory: Memory, network: nn.Module
) -> Tensor:
    """The answer: to all rows together, else to one after the other, else with attention in parts too.

    Raises ResourceError where memory suffices for none of these.
    """
    ways = [
        Way("", partial(ask, latents, timesteps, conditions)),
        Way("it goes on row by row", partial(_row_by_row, ask, latents, timesteps, conditions)),
        Way(
            "it goes on row by row with attention in parts",
            partial(_sparing, ask, latents, timesteps, conditions, network),
        ),
    ]
    height, width = latents.shape[-2:]
    advice = f"{width}x{height} latents are too many; draw a smaller picture (--size) or close other programs"
    return memory.sufficing("the UNet was at work", ways, advice)


def _row_by_row(ask: Ask, latents: Tensor, timesteps: Tensor, conditions: Conditions) -> Tensor:
    return torch.cat([ask(*row) for row in _rows(latents, timesteps, conditions)])


def _sparing(ask: Ask, latents: Tensor, timesteps: Tensor, conditions: Conditions, network: nn.Module) -> Tensor:
    in_rows(network)
    return _row_by_row(ask, latents, timesteps, conditions)


def _rows(latents: Tensor, timesteps: Tensor, conditions: Conditions) -> Iterator[tuple[Tensor, Tensor, Conditions]]:
    for row in range(len(latents)):
        place = slice(row, row + 1)
        yield latents[place], timesteps[place], replace(conditions.rows([row]), progress=conditions.progress)
