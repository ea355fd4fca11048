"""Euler's method, plain and ancestral."""

from collections.abc import Iterator

from torch import Tensor

from pochade.sampling.samplers.stepping import CALM, Churn, ancestral, intervals, slope
from pochade.sampling.signatures import Denoise, Noise, Stage


def euler(denoise: Denoise, x: Tensor, sigmas: Tensor, noise: Noise, *, churn: Churn = CALM) -> Iterator[Stage]:
    """Euler steps with optional churn: algorithm 2 of Karras et al. (2022) without its correction."""
    for here, there in intervals(sigmas):
        x, here = churn.raise_noise(x, here, noise, len(sigmas) - 1)
        denoised = denoise(x, here)
        x = x + slope(x, here, denoised) * (there - here)
        yield Stage(x, denoised)


def euler_ancestral(denoise: Denoise, x: Tensor, sigmas: Tensor, noise: Noise, *, eta: float = 1.0) -> Iterator[Stage]:
    """Euler steps below the target, then fresh noise up to it (k-diffusion, 2022)."""
    for here, there in intervals(sigmas):
        denoised = denoise(x, here)
        down, up = ancestral(here, there, eta)
        x = x + slope(x, here, denoised) * (down - here)
        if there > 0:
            x = x + noise(here, there) * up
        yield Stage(x, denoised)
