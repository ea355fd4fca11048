"""Noise schedules: plain functions (n, low, high, ...) -> the falling sigmas of n steps, and the list of their names.

Keyword-only parameters say what else a schedule wants: the model's table, rho, or the shape of the beta distribution.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from pochade.sampling.beta import quantile
from pochade.sampling.table import NoiseTable


def _closed(sigmas: Tensor) -> Tensor:
    """With the final zero."""
    return torch.cat([sigmas, sigmas.new_zeros(1)])


def uniform(n: int, low: float, high: float, *, table: NoiseTable) -> Tensor:
    """Evenly spaced timesteps from the table's last to its first; the ends asked for do not matter."""
    first = table.stride - 1
    last = first + (len(table.sigmas) - 1) * table.stride
    return _closed(table.sigma(torch.linspace(last, first, n)))


def karras(n: int, low: float, high: float, *, rho: float = 7.0) -> Tensor:
    """Even in sigma^(1/rho) (Karras et al., "Elucidating the design space", 2022, eq. 5)."""
    bottom, top = low ** (1 / rho), high ** (1 / rho)
    return _closed((top + torch.linspace(0, 1, n) * (bottom - top)) ** rho)


def exponential(n: int, low: float, high: float) -> Tensor:
    """Even in log sigma."""
    return _closed(torch.linspace(float(np.log(high)), float(np.log(low)), n).exp())


def polyexponential(n: int, low: float, high: float, *, rho: float = 1.0) -> Tensor:
    """A power of an even ramp in log sigma."""
    top, bottom = float(np.log(high)), float(np.log(low))
    return _closed(torch.exp(torch.linspace(1, 0, n) ** rho * (top - bottom) + bottom))


def sgm_uniform(n: int, low: float, high: float, *, table: NoiseTable) -> Tensor:
    """Evenly spaced timesteps without the last, as in Stability AI's generative models."""
    return _closed(table.sigma(_timesteps(n + 1, low, high, table)[:-1]))


def normal(n: int, low: float, high: float, *, table: NoiseTable) -> Tensor:
    """Evenly spaced timesteps between the ends."""
    return _closed(table.sigma(_timesteps(n, low, high, table)))


def _timesteps(n: int, low: float, high: float, table: NoiseTable) -> Tensor:
    start, end = (float(table.timestep(torch.tensor(sigma))) for sigma in (high, low))
    return torch.linspace(start, end, n)


def kl_optimal(n: int, low: float, high: float) -> Tensor:
    """Even in arctan sigma (Sabour et al., "Align Your Steps", 2024, section 3). Ends at `low`, not at zero."""
    ramp = torch.arange(n + 1) / n
    bottom, top = torch.tensor(low).arctan(), torch.tensor(high).arctan()
    return (ramp * bottom + (1.0 - ramp) * top).tan()


def align_your_steps(n: int, low: float, high: float, *, table: NoiseTable) -> Tensor:
    """Log-linear interpolation of the published optimal sigmas; one step begins at the smallest (an old oddity)."""
    optimal = np.asarray(table.aligned)
    if n != len(optimal):
        places = np.linspace(0, 1, n)
        optimal = np.exp(np.interp(places, np.linspace(0, 1, len(optimal)), np.log(optimal[::-1])))[::-1]
    return _closed(torch.tensor(optimal.copy(), dtype=torch.float32))


def simple(n: int, low: float, high: float, *, table: NoiseTable) -> Tensor:
    """Every (length / n)-th sigma of the table, from the top."""
    share = len(table.sigmas) / n
    return _closed(table.sigmas[[-(1 + int(step * share)) for step in range(n)]])


def ddim(n: int, low: float, high: float, *, table: NoiseTable) -> Tensor:
    """Every (length // n)-th sigma starting at the second, so there may be more than n."""
    return _closed(table.sigmas[1 :: max(len(table.sigmas) // n, 1)].flip(0))


def beta(n: int, low: float, high: float, *, beta_alpha: float = 0.6, beta_beta: float = 0.6) -> Tensor:
    """Quantiles of a beta distribution over the sigmas (Lee et al., "Beta sampling is all you need", 2024)."""
    places = quantile(1 - np.linspace(0, 1, n), beta_alpha, beta_beta)
    return _closed(torch.tensor(low + places * (high - low), dtype=torch.float32))


@dataclass(frozen=True)
class Schedule:
    """A schedule as people name it."""

    name: str
    label: str
    function: Callable[..., Tensor]
    aliases: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Everything it answers to."""
        return (self.label, self.name, *self.aliases)

    @cached_property
    def options(self) -> frozenset[str]:
        """The keyword-only parameters of its function."""
        parameters = inspect.signature(self.function).parameters.values()
        return frozenset(each.name for each in parameters if each.kind is inspect.Parameter.KEYWORD_ONLY)


AUTOMATIC = Schedule("automatic", "Automatic", uniform)
"""The sampler's own default; samplers without one run `uniform`."""

SCHEDULES = (
    AUTOMATIC,
    Schedule("uniform", "Uniform", uniform),
    Schedule("karras", "Karras", karras),
    Schedule("exponential", "Exponential", exponential),
    Schedule("polyexponential", "Polyexponential", polyexponential),
    Schedule("sgm_uniform", "SGM Uniform", sgm_uniform, ("SGMUniform",)),
    Schedule("kl_optimal", "KL Optimal", kl_optimal),
    Schedule("align_your_steps", "Align Your Steps", align_your_steps),
    Schedule("simple", "Simple", simple),
    Schedule("normal", "Normal", normal),
    Schedule("ddim", "DDIM", ddim),
    Schedule("beta", "Beta", beta),
)
