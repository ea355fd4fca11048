"""Latent consistency models."""

from collections.abc import Iterator

from torch import Tensor

from pochade.sampling.samplers.stepping import intervals
from pochade.sampling.signatures import Denoise, Noise, Stage


def lcm(denoise: Denoise, x: Tensor, sigmas: Tensor, noise: Noise) -> Iterator[Stage]:
    """Jump to the clean picture, add noise again (Luo et al., "Latent consistency models", 2023)."""
    for here, there in intervals(sigmas):
        denoised = denoise(x, here)
        x = denoised + there * noise(here, there) if there > 0 else denoised
        yield Stage(x, denoised)
