"""The small pieces of arithmetic that samplers in sigma space share."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from pochade.sampling.signatures import Noise

_MOST_CHURN = 2**0.5 - 1


def slope(x: Tensor, sigma: Tensor, denoised: Tensor) -> Tensor:
    """dx/dsigma of the probability flow (Karras et al. 2022)."""
    return (x - denoised) / sigma


def intervals(levels: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """(here, there) for every step."""
    return pairwise(levels.unbind())


def log_middle(here: Tensor, there: Tensor) -> Tensor:
    """The geometric mean of two sigmas."""
    return here.log().lerp(there.log(), 0.5).exp()


def ancestral(here: Tensor, there: Tensor, eta: float) -> tuple[Tensor, Tensor]:
    """How far to go down without noise and how much noise to add then, to arrive at `there`."""
    if not eta:
        return there, torch.zeros_like(there)
    up = torch.minimum(there, eta * (there**2 * (here**2 - there**2) / here**2) ** 0.5)
    return (there**2 - up**2) ** 0.5, up


@dataclass(frozen=True)
class Churn:
    """Noise added before steps (Karras et al. 2022): `amount` spread over the steps between `low` and `high`."""

    amount: float = 0.0
    low: float = 0.0
    high: float = float("inf")
    noise: float = 1.0

    def raise_noise(self, x: Tensor, sigma: Tensor, noise: Noise, steps: int) -> tuple[Tensor, Tensor]:
        """The latents and their sigma, raised where this step churns. Every step of a churned run draws noise."""
        if self.amount <= 0:
            return x, sigma
        drawn = noise(sigma, sigma) * self.noise
        gamma = min(self.amount / steps, _MOST_CHURN) if self.low <= sigma <= self.high else 0.0
        raised = sigma * (gamma + 1)
        return (x + drawn * (raised**2 - sigma**2) ** 0.5, raised) if gamma > 0 else (x, sigma)


CALM = Churn()


def minus_log(sigma: Tensor) -> Tensor:
    """The time in which DPM-Solver works: t = -log sigma."""
    return sigma.log().neg()


def from_minus_log(t: Tensor) -> Tensor:
    """The sigma at time t."""
    return t.neg().exp()
