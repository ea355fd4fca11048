"""Pseudo linear multistep."""

from collections import deque
from collections.abc import Iterator

from torch import Tensor

from pochade.sampling.samplers.ddim import descents
from pochade.sampling.signatures import Epsilon, Noise, Stage

_FACTORS = {1: (3 / 2, -1 / 2), 2: (23 / 12, -16 / 12, 5 / 12), 3: (55 / 24, -59 / 24, 37 / 24, -9 / 24)}


def plms(epsilon: Epsilon, x: Tensor, timesteps: Tensor, noise: Noise, *, alphas: Tensor) -> Iterator[Stage]:
    """Adams-Bashforth on the predicted noise (Liu et al., "Pseudo numerical methods for diffusion models", 2022)."""
    past: deque[Tensor] = deque(maxlen=3)
    for step in descents(timesteps, alphas):
        newest = epsilon(x, step.timestep)
        if past:
            terms = zip(_FACTORS[len(past)], (newest, *past), strict=True)
            mean = sum((factor * each for factor, each in terms), start=newest.new_zeros(()))
        else:
            trial = step.reach(step.clean(x, newest), newest)
            mean = (newest + epsilon(trial, step.next_timestep)) / 2
        past.appendleft(newest)
        denoised = step.clean(x, mean)
        x = step.reach(denoised, mean)
        yield Stage(x, denoised)
