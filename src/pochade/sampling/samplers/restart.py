"""Restart sampling: goes back up with fresh noise once or twice and solves the last stretch again."""

from collections.abc import Iterator

from torch import Tensor

from pochade.sampling.samplers.heun import heun_step
from pochade.sampling.samplers.stepping import intervals
from pochade.sampling.schedules import karras
from pochade.sampling.signatures import Denoise, Noise, Stage

_FROM, _TO = 0.1, 2.0  # sigmas between which the restart happens
_FEWEST = 20  # steps from which there is one restart of nine steps
_MANY = 36  # steps from which there are two of a quarter each


def restart(denoise: Denoise, x: Tensor, sigmas: Tensor, noise: Noise) -> Iterator[Stage]:
    """Heun steps with restarts (Xu et al., "Restart sampling for improving generative processes", 2023)."""
    last: Tensor | None = None
    for here, there in _plan(sigmas):
        if last is not None and last < here:
            x = x + noise(last, here) * (here**2 - last**2) ** 0.5
        stage = heun_step(denoise, x, here, there)
        x, last = stage.latents, there
        yield stage


def _plan(sigmas: Tensor) -> list[tuple[Tensor, Tensor]]:
    """All steps. Those of the restarts are taken from the total, the rest is spaced anew."""
    steps = len(sigmas) - 1
    if steps < _FEWEST:
        return list(intervals(sigmas))
    width, times = (steps // 4, 2) if steps >= _MANY else (9, 1)
    sigmas = karras(steps - width * times, float(sigmas[-2]), float(sigmas[0]))
    low, high = (int((sigmas - level).abs().argmin()) for level in (_FROM, _TO))
    plan = list(intervals(sigmas))
    if high >= low:
        return plan
    back = karras(width + 1, float(sigmas[low]), float(sigmas[high]))[:-1]
    return [*plan[:low], *list(intervals(back)) * times, *plan[low:]]
