"""DPM-Solver-2 with the midpoint in log sigma, plain and ancestral."""

from collections.abc import Iterator

from torch import Tensor

from pochade.sampling.samplers.stepping import CALM, Churn, ancestral, intervals, log_middle, slope
from pochade.sampling.signatures import Denoise, Noise, Stage


def dpm2(denoise: Denoise, x: Tensor, sigmas: Tensor, noise: Noise, *, churn: Churn = CALM) -> Iterator[Stage]:
    """Midpoint steps with optional churn, inspired by DPM-Solver-2 (Lu et al. 2022) and Karras et al. (2022)."""
    for here, there in intervals(sigmas):
        x, here = churn.raise_noise(x, here, noise, len(sigmas) - 1)
        stage = _midpoint(denoise, x, here, there)
        x = stage.latents
        yield stage


def dpm2_ancestral(
    denoise: Denoise, x: Tensor, sigmas: Tensor, noise: Noise, *, eta: float = 1.0, s_noise: float = 1.0
) -> Iterator[Stage]:
    """Midpoint steps below the target, then fresh noise up to it."""
    for here, there in intervals(sigmas):
        down, up = ancestral(here, there, eta)
        x, denoised = _midpoint(denoise, x, here, down)
        if down > 0:
            x = x + noise(here, there) * s_noise * up
        yield Stage(x, denoised)


def _midpoint(denoise: Denoise, x: Tensor, here: Tensor, there: Tensor) -> Stage:
    """The whole step with the slope found half way; plain Euler down to zero."""
    denoised = denoise(x, here)
    first = slope(x, here, denoised)
    if there == 0:
        return Stage(x + first * (there - here), denoised)
    middle = log_middle(here, there)
    half_way = x + first * (middle - here)
    second = slope(half_way, middle, denoise(half_way, middle))
    return Stage(x + second * (there - here), denoised)
