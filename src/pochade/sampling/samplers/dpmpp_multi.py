"""DPM-Solver++ multistep methods: 2M, 2M SDE, 3M SDE. Lu et al., "DPM-Solver++" (2022)."""

from collections.abc import Iterator

from torch import Tensor

from pochade.errors import UnknownNameError
from pochade.sampling.samplers.stepping import from_minus_log, intervals, minus_log
from pochade.sampling.signatures import Denoise, Noise, Stage

SOLVERS = ("midpoint", "heun")


def dpmpp_2m(denoise: Denoise, x: Tensor, sigmas: Tensor, noise: Noise) -> Iterator[Stage]:
    """DPM-Solver++(2M): extrapolates the clean picture from the last two."""
    past: tuple[Tensor, Tensor] | None = None  # (clean picture, step width)
    for here, there in intervals(sigmas):
        denoised = denoise(x, here)
        t, t_next = minus_log(here), minus_log(there)
        width = t_next - t
        aim = denoised
        if past and there > 0:
            lead = width / (2 * past[1])
            aim = (1 + lead) * denoised - lead * past[0]
        x = from_minus_log(t_next) / from_minus_log(t) * x - (-width).expm1() * aim
        past = denoised, width
        yield Stage(x, denoised)


def dpmpp_2m_sde(
    denoise: Denoise,
    x: Tensor,
    sigmas: Tensor,
    noise: Noise,
    *,
    eta: float = 1.0,
    s_noise: float = 1.0,
    solver: str = "midpoint",
) -> Iterator[Stage]:
    """The stochastic DPM-Solver++(2M); `solver` is how the last two clean pictures are combined."""
    if solver not in SOLVERS:
        raise UnknownNameError("solver", solver, SOLVERS)
    past: tuple[Tensor, Tensor] | None = None  # (clean picture, step width)
    for here, there in intervals(sigmas):
        denoised = denoise(x, here)
        if there == 0:
            x = denoised
        else:
            width = minus_log(there) - minus_log(here)
            decay = -width - eta * width
            gain = decay.expm1().neg()
            x = there / here * (-eta * width).exp() * x + gain * denoised
            if past:
                factor = gain / decay + 1 if solver == "heun" else 0.5 * gain
                x = x + factor * (width / past[1]) * (denoised - past[0])
            x = _with_noise(x, (here, there), noise, eta * width, s_noise)
            past = denoised, width
        yield Stage(x, denoised)


def dpmpp_3m_sde(
    denoise: Denoise, x: Tensor, sigmas: Tensor, noise: Noise, *, eta: float = 1.0, s_noise: float = 1.0
) -> Iterator[Stage]:
    """A stochastic third-order multistep DPM-Solver++ (k-diffusion, 2023)."""
    past: list[tuple[Tensor, Tensor]] = []  # (clean picture, step width), newest first
    for here, there in intervals(sigmas):
        denoised = denoise(x, here)
        if there == 0:
            x = denoised
        else:
            width = minus_log(there) - minus_log(here)
            decay = width * (eta + 1)
            x = (-decay).exp() * x + (-decay).expm1().neg() * denoised
            x = x + _third_order(denoised, width, decay, past)
            x = _with_noise(x, (here, there), noise, eta * width, s_noise)
            past = [(denoised, width), *past[:1]]
        yield Stage(x, denoised)


def _third_order(denoised: Tensor, width: Tensor, decay: Tensor, past: list[tuple[Tensor, Tensor]]) -> Tensor | float:
    """The correction from the first and second differences of the clean pictures so far."""
    if not past:
        return 0.0
    phi_2 = decay.neg().expm1() / decay + 1
    newest, ratio = past[0][0], past[0][1] / width
    first = (denoised - newest) / ratio
    if len(past) == 1:
        return phi_2 * first
    older_ratio = past[1][1] / width
    bend = (first - (newest - past[1][0]) / older_ratio) / (ratio + older_ratio)
    return phi_2 * (first + bend * ratio) - (phi_2 / decay - 0.5) * bend


def _with_noise(x: Tensor, span: tuple[Tensor, Tensor], noise: Noise, noisy_width: Tensor, s_noise: float) -> Tensor:
    """Add the noise that eta asks for over this step."""
    if not noisy_width:
        return x
    return x + noise(*span) * span[1] * (-2 * noisy_width).expm1().neg().sqrt() * s_noise
