"""DDIM and its CFG++ variant, in variance-preserving space over rising timesteps."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

from pochade.errors import UsageError
from pochade.sampling.signatures import Epsilon, EpsilonPair, Noise, Stage


@dataclass(frozen=True)
class Descent:
    """One step down: the timestep left and the one reached, with what is left of the picture at each."""

    timestep: Tensor
    next_timestep: Tensor
    alpha: float
    next_alpha: float
    spread: float

    def clean(self, x: Tensor, noise: Tensor) -> Tensor:
        """The picture when `noise` is what covers it."""
        return (x - self.spread * noise) / math.sqrt(self.alpha)

    def reach(self, clean: Tensor, noise: Tensor, sigma: float = 0.0) -> Tensor:
        """The picture covered again, less, leaving room for fresh noise of deviation `sigma`."""
        return math.sqrt(self.next_alpha) * clean + math.sqrt(1 - self.next_alpha - sigma**2) * noise

    def sigma(self, eta: float) -> float:
        """How much fresh noise eta asks for; more than all the noise at the next level is no step down."""
        kept = (1 - self.next_alpha) / (1 - self.alpha) * (1 - self.alpha / self.next_alpha)
        sigma = eta * math.sqrt(max(kept, 0.0))
        if sigma**2 > 1 - self.next_alpha:
            raise UsageError(f"eta is {eta}, more noise than DDIM can add in a step; use a smaller eta, such as 1.")
        return sigma


def descents(timesteps: Tensor, alphas: Tensor) -> Iterator[Descent]:
    """From the last timestep down to the first: one step fewer than there are timesteps."""
    picked = alphas[timesteps]
    spreads = (1 - picked).sqrt()
    for index in range(len(timesteps) - 1, 0, -1):
        yield Descent(
            timesteps[index],
            timesteps[index - 1],
            float(picked[index]),
            float(picked[index - 1]),
            float(spreads[index]),
        )


def ddim(
    epsilon: Epsilon, x: Tensor, timesteps: Tensor, noise: Noise, *, alphas: Tensor, eta: float = 0.0
) -> Iterator[Stage]:
    """Denoising diffusion implicit models (Song et al., 2020). Stops at the first timestep, not at zero."""

    def same(latents: Tensor, timestep: Tensor) -> tuple[Tensor, Tensor]:
        predicted = epsilon(latents, timestep)
        return predicted, predicted

    return ddim_cfgpp(same, x, timesteps, noise, alphas=alphas, eta=eta)


def ddim_cfgpp(
    epsilon: EpsilonPair, x: Tensor, timesteps: Tensor, noise: Noise, *, alphas: Tensor, eta: float = 0.0
) -> Iterator[Stage]:
    """DDIM that covers the guided picture with the unconditional noise (Chung et al., "CFG++", 2024)."""
    steps = [(step, step.sigma(eta)) for step in descents(timesteps, alphas)]  # first of all: eta may be refused
    for step, sigma in steps:
        guided, unconditional = epsilon(x, step.timestep)
        denoised = step.clean(x, guided)
        x = step.reach(denoised, unconditional, sigma)
        if eta:
            x = x + sigma * noise(step.timestep, step.next_timestep)
        yield Stage(x, denoised)
