"""Heun's method."""

from collections.abc import Iterator

from torch import Tensor

from pochade.sampling.samplers.stepping import CALM, Churn, intervals, slope
from pochade.sampling.signatures import Denoise, Noise, Stage


def heun(denoise: Denoise, x: Tensor, sigmas: Tensor, noise: Noise, *, churn: Churn = CALM) -> Iterator[Stage]:
    """Heun steps with optional churn: algorithm 2 of Karras et al. (2022)."""
    for here, there in intervals(sigmas):
        x, here = churn.raise_noise(x, here, noise, len(sigmas) - 1)
        stage = heun_step(denoise, x, here, there)
        x = stage.latents
        yield stage


def heun_step(denoise: Denoise, x: Tensor, here: Tensor, there: Tensor) -> Stage:
    """An Euler step, repeated with the mean of the slopes at both ends; plain Euler down to zero."""
    denoised = denoise(x, here)
    first, width = slope(x, here, denoised), there - here
    reached = x + first * width
    if there == 0:
        return Stage(reached, denoised)
    second = slope(reached, there, denoise(reached, there))
    return Stage(x + (first + second) / 2 * width, denoised)
