"""DPM-Solver in log-sigma time: a fixed budget of calls (fast) and error control (adaptive).

Lu et al., "DPM-Solver: a fast ODE solver for diffusion probabilistic model sampling in around 10 steps" (2022).
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from pochade.errors import NumericalError
from pochade.sampling.samplers.stepping import ancestral, from_minus_log, intervals, minus_log
from pochade.sampling.signatures import Denoise, Noise, Stage

Span = tuple[float, float]
"""The highest and the lowest sigma."""

_RELATIVE, _ABSOLUTE = 0.05, 0.0078  # error tolerances
_FIRST_WIDTH = 0.05
_ACCEPT = 0.81
_NEARLY_DONE = 1e-5


def dpm_fast(
    denoise: Denoise,
    x: Tensor,
    sigmas: Tensor,
    noise: Noise,
    *,
    span: Span | None = None,
    calls: int | None = None,
    eta: float = 1.0,
    s_noise: float = 1.0,
) -> Iterator[Stage]:
    """DPM-Solver-fast: third-order steps as long as `calls` model calls last, lower orders for the rest.

    Only the ends of `sigmas` matter (never its zero), unless `span` gives others.
    """
    start, end = _times(sigmas, span)
    calls = len(sigmas) - 1 if calls is None else calls
    orders = _orders(calls)
    times = torch.linspace(float(start), float(end), len(orders) + 1)
    for order, (here, there) in zip(orders, intervals(times), strict=True):
        target, up = _target(here, there, end, eta)
        slope = _slope(denoise, x, here)
        denoised = x - from_minus_log(here) * slope
        x = _step(denoise, x, (here, target), slope, order)
        x = x + up * s_noise * noise(from_minus_log(here), from_minus_log(there))
        yield Stage(x, denoised)


def dpm_adaptive(
    denoise: Denoise, x: Tensor, sigmas: Tensor, noise: Noise, *, span: Span | None = None, eta: float = 1.0
) -> Iterator[Stage]:
    """DPM-Solver-12/23: steps as wide as the difference of second and third order allows, for the whole batch."""
    here, end = _times(sigmas, span)
    width, previous = _FIRST_WIDTH, x
    while here < end - _NEARLY_DONE:
        there = torch.minimum(end, here + width)
        target, up = _target(here, there, end, eta)
        slope = _slope(denoise, x, here)
        third = _step_part(denoise, x, (here, target), slope, 1 / 3)
        low = _second(x, (here, target), slope, third, 1 / 3)
        high = _third(denoise, x, (here, target), slope, third)
        factor = _growth(low, high, previous, 1.5 if eta else 3)
        width *= factor
        if factor >= _ACCEPT:
            denoised = x - from_minus_log(here) * slope
            previous, x = low, high + up * noise(from_minus_log(here), from_minus_log(there))
            here = there
            yield Stage(x, denoised)


def _times(sigmas: Tensor, span: Span | None) -> tuple[Tensor, Tensor]:
    high, low = span or (float(sigmas[0]), float(sigmas[-2]))
    return minus_log(torch.tensor(high)), minus_log(torch.tensor(low))


def _orders(calls: int) -> list[int]:
    """The orders of the steps; they add up to the number of calls."""
    threes, rest = divmod(calls, 3)
    return [3] * threes + [rest] if rest else [3] * (threes - 1) + [2, 1]


def _target(here: Tensor, there: Tensor, end: Tensor, eta: float) -> tuple[Tensor, Tensor]:
    """Where to go without noise (never beyond the end), and the noise that then leads back to `there`."""
    if not eta:
        return there, torch.zeros_like(there)
    down, _ = ancestral(from_minus_log(here), from_minus_log(there), eta)
    target = torch.minimum(end, minus_log(down))
    return target, (from_minus_log(there) ** 2 - from_minus_log(target) ** 2) ** 0.5


def _growth(low: Tensor, high: Tensor, previous: Tensor, order: float) -> float:
    """The factor for the step width, from the error of the step just tried (an I controller)."""
    allowed = torch.clamp(_RELATIVE * torch.maximum(low.abs(), previous.abs()), min=_ABSOLUTE)
    error = float(torch.linalg.vector_norm((low - high) / allowed)) / low.numel() ** 0.5
    if not math.isfinite(error):
        raise NumericalError("The model returned NaN or infinity; the adaptive step control cannot go on.")
    return 1 + math.atan((1 / (error + 1e-8)) ** (1 / order) - 1)


def _slope(denoise: Denoise, x: Tensor, t: Tensor) -> Tensor:
    sigma = from_minus_log(t)
    return (x - denoise(x, sigma)) / sigma


def _step(denoise: Denoise, x: Tensor, span: tuple[Tensor, Tensor], slope: Tensor, order: int) -> Tensor:
    """One step of first, second or third order."""
    if order == 1:
        return _advance(x, span, slope, 1.0)
    ratio = 1 / order
    inner = _step_part(denoise, x, span, slope, ratio)
    return _second(x, span, slope, inner, ratio) if order == 2 else _third(denoise, x, span, slope, inner)


def _advance(x: Tensor, span: tuple[Tensor, Tensor], slope: Tensor, share: float) -> Tensor:
    """A first-order step over the first `share` of the span."""
    width = span[1] - span[0]
    return x - from_minus_log(span[0] + share * width) * (share * width).expm1() * slope


def _step_part(denoise: Denoise, x: Tensor, span: tuple[Tensor, Tensor], slope: Tensor, share: float) -> Tensor:
    """The slope after a first-order step over the first `share` of the span."""
    return _slope(denoise, _advance(x, span, slope, share), span[0] + share * (span[1] - span[0]))


def _second(x: Tensor, span: tuple[Tensor, Tensor], slope: Tensor, inner: Tensor, ratio: float) -> Tensor:
    """DPM-Solver-2 with the slope `inner` known at `ratio` of the span."""
    width = span[1] - span[0]
    gain = from_minus_log(span[1]) * width.expm1()
    return x - gain * slope - gain / (2 * ratio) * (inner - slope)


def _third(denoise: Denoise, x: Tensor, span: tuple[Tensor, Tensor], slope: Tensor, inner: Tensor) -> Tensor:
    """DPM-Solver-3 with the slope `inner` known at one third of the span."""
    width = span[1] - span[0]
    share = 2 / 3
    at = span[0] + share * width
    bend = ((share * width).expm1() / (share * width) - 1) * 2
    middle = _advance(x, span, slope, share) - from_minus_log(at) * bend * (inner - slope)
    change = _slope(denoise, middle, at) - slope
    sigma = from_minus_log(span[1])
    return x - sigma * width.expm1() * slope - sigma / share * (width.expm1() / width - 1) * change
