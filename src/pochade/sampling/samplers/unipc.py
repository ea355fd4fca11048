"""UniPC: a predictor and a corrector of the same order that share model calls.

Zhao et al., "UniPC: a unified predictor-corrector framework for fast sampling of diffusion models" (2023). The clean
picture is predicted; lambda = log(alpha / sigma) is the time in which it moves smoothly.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pochade.errors import UnknownNameError
from pochade.sampling.signatures import Epsilon, Noise, Stage

Array = NDArray[np.float64]

VARIANTS = ("bh1", "bh2", "vary_coeff")
SPACINGS = ("time_uniform", "time_quadratic", "logSNR")


@dataclass(frozen=True)
class _Clock:
    """Every point of the run: the model's timestep, how much picture (alpha) and noise (sigma), and lambda."""

    timesteps: Tensor
    alphas: list[float]
    sigmas: list[float]
    lambdas: list[float]

    @property
    def steps(self) -> int:
        """The number of steps."""
        return len(self.alphas) - 1


def unipc(
    epsilon: Epsilon,
    x: Tensor,
    timesteps: Tensor,
    noise: Noise,
    *,
    alphas: Tensor,
    start: float | None = None,
    order: int = 3,
    variant: str = "bh1",
    spacing: str = "time_uniform",
    lower_order_final: bool = True,
) -> Iterator[Stage]:
    """Multistep UniPC with as many model calls as there are `timesteps`; it spaces its own times from `start`."""
    if variant not in VARIANTS:
        raise UnknownNameError("UniPC variant", variant, VARIANTS)
    clock = _clock(alphas, len(timesteps), 1.0 if start is None else start, spacing)
    order = min(order, clock.steps)
    past = [(clock.lambdas[0], _clean(epsilon, x, clock, 0))]
    for index in range(1, clock.steps + 1):
        ending = lower_order_final and index >= order
        now = min(order, index, clock.steps + 1 - index) if ending else min(order, index)
        step = _Step(clock, index, past[:now], variant)
        base, predicted = step.base(x), step.predict(x)
        x = predicted
        if index < clock.steps:
            found = _clean(epsilon, predicted, clock, index)
            x = step.correct(base, found)
            past = [(clock.lambdas[index], found), *past[: order - 1]]
        yield Stage(x, past[0][1])


def _clean(epsilon: Epsilon, x: Tensor, clock: _Clock, index: int) -> Tensor:
    return (x - clock.sigmas[index] * epsilon(x, clock.timesteps[index])) / clock.alphas[index]


class _Step:
    """One step from point index - 1 to point index, given the newest clean pictures and their lambdas."""

    def __init__(self, clock: _Clock, index: int, past: list[tuple[float, Tensor]], variant: str) -> None:
        self._alpha = clock.alphas[index]
        self._shrink = clock.sigmas[index] / clock.sigmas[index - 1]
        self._newest = past[0][1]
        width = clock.lambdas[index] - past[0][0]
        ratios = [(when - past[0][0]) / width for when, _ in past[1:]]
        self._differences = [(clean - self._newest) / ratio for (_, clean), ratio in zip(past[1:], ratios, strict=True)]
        weigh = _varying_weights if variant == "vary_coeff" else _b_weights
        self._gain = math.expm1(-width)
        self._predictor, self._corrector = weigh(np.array([*ratios, 1.0]), -width, variant)

    def base(self, x: Tensor) -> Tensor:
        """Where the newest clean picture alone leads."""
        return self._shrink * x - self._alpha * self._gain * self._newest

    def predict(self, x: Tensor) -> Tensor:
        """The predictor: extrapolates from older clean pictures."""
        result = self.base(x)
        for weight, difference in zip(self._predictor, self._differences, strict=True):
            result = result - self._alpha * weight * difference
        return result

    def correct(self, base: Tensor, found: Tensor) -> Tensor:
        """The corrector: also knows the clean picture found at the predicted point."""
        differences = [*self._differences, found - self._newest]
        for weight, difference in zip(self._corrector, differences, strict=True):
            base = base - self._alpha * weight * difference
        return base


def _phis(width: float, count: int) -> list[float]:
    """phi_1, phi_2, ... of exponential integrators, times `width` to the first power."""
    values, factorial = [math.expm1(width)], 1
    for k in range(1, count):
        values.append(values[-1] / width - 1 / factorial)
        factorial *= k + 1
    return values


def _b_weights(ratios: Array, width: float, variant: str) -> tuple[list[float], list[float]]:
    """Weights of the differences for predictor and corrector with B(h) = h (bh1) or e^h - 1 (bh2)."""
    order = len(ratios)
    scale = width if variant == "bh1" else math.expm1(width)
    powers = np.stack([ratios**k for k in range(order)])
    phis = _phis(width, order + 1)[1:]
    aims = np.array([phi * math.factorial(k + 1) / scale for k, phi in enumerate(phis)])
    predictor = np.full(1, 0.5) if order == 2 else np.linalg.solve(powers[:-1, :-1], aims[:-1])
    corrector = np.full(1, 0.5) if order == 1 else np.linalg.solve(powers, aims)
    return (scale * predictor).tolist(), (scale * corrector).tolist()


def _varying_weights(ratios: Array, width: float, variant: str) -> tuple[list[float], list[float]]:
    """Weights with coefficients that vary with the step; the corrector's last one takes the row before (an oddity)."""
    order = len(ratios)
    phis = np.array(_phis(width, order + 1))
    columns = np.stack([ratios**k / math.factorial(k + 1) for k in range(order)], axis=1)
    predictor = phis[1:order] @ np.linalg.inv(columns[:-1, :-1])
    rows = np.linalg.inv(columns)
    corrector = [*(phis[1:order] @ rows[:-1, :-1]), phis[order] * rows[max(order - 2, 0), -1]]
    return predictor.tolist(), [float(each) for each in corrector]


def _clock(alphas: Tensor, steps: int, start: float, spacing: str) -> _Clock:
    total = len(alphas)
    known = np.arange(1, total + 1) / total
    known_logs = 0.5 * alphas.log().double().cpu().numpy()
    times = _times(known, known_logs, steps, (start, 1 / total), spacing)
    logs = np.interp(times.double().numpy(), known, known_logs)
    sigmas = np.sqrt(-np.expm1(2 * logs))
    return _Clock((times - 1 / total) * total, np.exp(logs).tolist(), sigmas.tolist(), (logs - np.log(sigmas)).tolist())


def _times(known: Array, known_logs: Array, steps: int, span: tuple[float, float], spacing: str) -> Tensor:
    """steps + 1 falling times between 1 and 1/1000."""
    if spacing == "time_uniform":
        return torch.linspace(*span, steps + 1)
    if spacing == "time_quadratic":
        return torch.linspace(span[0] ** 0.5, span[1] ** 0.5, steps + 1) ** 2
    if spacing != "logSNR":
        raise UnknownNameError("UniPC spacing", spacing, SPACINGS)
    ends = np.interp(span, known, known_logs)
    first, last = ends - 0.5 * np.log(-np.expm1(2 * ends))
    lambdas = np.linspace(first, last, steps + 1)
    logs = -0.5 * np.logaddexp(0, -2 * lambdas)
    return torch.from_numpy(np.interp(logs, known_logs[::-1], known[::-1])).float()
