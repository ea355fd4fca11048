"""Noise on what a model is told beside the text, of a level it is told too (Ho et al. 2021, arXiv:2106.15282).

unCLIP models take the embedding of a picture so, the x4 upscaler the small picture itself; each has its own schedule.
"""

from collections.abc import Iterable
from functools import cache
from itertools import accumulate
from math import cos, pi, sqrt
from operator import mul

import torch
from torch import Tensor

from pochade.errors import UsageError
from pochade.networks.layers import sinusoid

_LEVELS = 1000
_MOST_ON_EMBEDDINGS = _LEVELS - 1
_MOST_ON_PICTURES = 350  # the upscaler was trained up to here
_FIRST_BETA, _LAST_BETA = 0.0001, 0.02
_MOST_BETA = 0.999


def noised_embedding(
    embeddings: Tensor, noise: Tensor, level: int = 0, mean: Tensor | float = 0.0, deviation: Tensor | float = 1.0
) -> Tensor:
    """The class vectors [B, 2 D] of an unCLIP model, from embeddings of pictures and noise, both [B, D].

    `level` is 0 to 999. `mean` and `deviation` are those of the embeddings the model was trained on, [D] or [1, D]:
    unclip-l has them, in a file beside the checkpoint, unclip-h does without.
    """
    _check(level, _MOST_ON_EMBEDDINGS, "an embedding")
    scaled = (embeddings.float() - mean) / deviation
    noised = _noised(scaled, noise, _cosine()[level]) * deviation + mean
    levels = torch.full(embeddings.shape[:1], level, device=embeddings.device)
    return torch.cat([noised, sinusoid(levels, embeddings.shape[1])], dim=1).to(embeddings.dtype)


def noised_picture(pictures: Tensor, noise: Tensor, level: int = 20) -> tuple[Tensor, Tensor]:
    """What the x4 upscaler is told of small pictures in -1..1 [B, 3, h, w]: them with noise, and class numbers [B].

    `noise` has the pictures' shape; `level` is 0 to 350.
    """
    _check(level, _MOST_ON_PICTURES, "a picture")
    noised = _noised(pictures.float(), noise, _linear()[level]).to(pictures.dtype)
    return noised, torch.full(pictures.shape[:1], level, device=pictures.device)


def _noised(values: Tensor, noise: Tensor, kept: float) -> Tensor:
    """Values of which the share `kept` of the variance is left, the rest is noise."""
    signal, spread = sqrt(kept), sqrt(1 - kept)
    return values * signal + noise.float() * spread


def _check(level: int, most: int, what: str) -> None:
    if not 0 <= level <= most:
        raise UsageError(f"The noise level {level} does not exist; on {what} it goes from 0 to {most}.")


@cache
def _cosine() -> tuple[float, ...]:
    """The share of variance left at every level of the squared-cosine schedule (arXiv:2102.09672)."""
    return _left(min(1 - _wave(step + 1) / _wave(step), _MOST_BETA) for step in range(_LEVELS))


def _wave(step: int) -> float:
    return cos((step / _LEVELS + 0.008) / 1.008 * pi / 2) ** 2


@cache
def _linear() -> tuple[float, ...]:
    """The share of variance left at every level of the schedule whose betas' square roots are evenly spaced."""
    first, last = _FIRST_BETA**0.5, _LAST_BETA**0.5
    return _left((first + (last - first) * step / (_LEVELS - 1)) ** 2 for step in range(_LEVELS))


def _left(betas: Iterable[float]) -> tuple[float, ...]:
    return tuple(accumulate((1 - beta for beta in betas), mul))
