"""DPM-Solver++ single-step methods with noise: 2S ancestral and SDE. Lu et al., "DPM-Solver++" (2022)."""

from collections.abc import Iterator

from torch import Tensor

from pochade.sampling.samplers.stepping import ancestral, from_minus_log, intervals, minus_log, slope
from pochade.sampling.signatures import Denoise, Noise, Stage

_HALF_WAY = 0.5


def dpmpp_2s_ancestral(
    denoise: Denoise, x: Tensor, sigmas: Tensor, noise: Noise, *, eta: float = 1.0, s_noise: float = 1.0
) -> Iterator[Stage]:
    """DPM-Solver++(2S) steps below the target, then fresh noise up to it."""
    for here, there in intervals(sigmas):
        denoised = denoise(x, here)
        down, up = ancestral(here, there, eta)
        if down == 0:
            x = x + slope(x, here, denoised) * (down - here)
        else:
            t, t_down = minus_log(here), minus_log(down)
            t_middle = t + _HALF_WAY * (t_down - t)
            half_way = _decay(x, denoised, t, t_middle)
            x = _decay(x, denoise(half_way, from_minus_log(t_middle)), t, t_down)
        if there > 0:
            x = x + noise(here, there) * s_noise * up
        yield Stage(x, denoised)


def dpmpp_sde(
    denoise: Denoise, x: Tensor, sigmas: Tensor, noise: Noise, *, eta: float = 1.0, s_noise: float = 1.0
) -> Iterator[Stage]:
    """The stochastic DPM-Solver++ with a noisy half step (k-diffusion, 2022)."""
    for here, there in intervals(sigmas):
        denoised = denoise(x, here)
        if there == 0:
            x = x + slope(x, here, denoised) * (there - here)
        else:
            t, t_next = minus_log(here), minus_log(there)
            t_middle = t + (t_next - t) * _HALF_WAY
            half_way = _noisy_decay(x, denoised, (t, t_middle), noise, eta, s_noise)
            second = denoise(half_way, from_minus_log(t_middle))
            x = _noisy_decay(x, second, (t, t_next), noise, eta, s_noise)
        yield Stage(x, denoised)


def _decay(x: Tensor, denoised: Tensor, t: Tensor, t_next: Tensor) -> Tensor:
    """The exact solution from t to t_next when the clean picture stays `denoised`."""
    return from_minus_log(t_next) / from_minus_log(t) * x - (t - t_next).expm1() * denoised


def _noisy_decay(
    x: Tensor, denoised: Tensor, span: tuple[Tensor, Tensor], noise: Noise, eta: float, s_noise: float
) -> Tensor:
    """As `_decay`, but below the target and with fresh noise up to it."""
    here, there = from_minus_log(span[0]), from_minus_log(span[1])
    down, up = ancestral(here, there, eta)
    return _decay(x, denoised, span[0], minus_log(down)) + noise(here, there) * s_noise * up
