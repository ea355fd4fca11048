"""The linear multistep method."""

from collections import deque
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pochade.sampling.samplers.stepping import intervals, slope
from pochade.sampling.signatures import Denoise, Noise, Stage

_ORDER = 4
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(4)  # exact up to degree 7; the polynomials have at most 3


def lms(denoise: Denoise, x: Tensor, sigmas: Tensor, noise: Noise) -> Iterator[Stage]:
    """Adams-Bashforth on uneven sigmas: integrates the polynomial through the last slopes (k-diffusion, 2022)."""
    points = sigmas.double().numpy()
    slopes: deque[Tensor] = deque(maxlen=_ORDER)
    for index, (here, _) in enumerate(intervals(sigmas)):
        denoised = denoise(x, here)
        slopes.appendleft(slope(x, here, denoised))
        for factor, each in zip(_factors(points, index, len(slopes)), slopes, strict=True):
            x = x + factor * each
        yield Stage(x, denoised)


def _factors(points: NDArray[np.float64], index: int, order: int) -> list[float]:
    """The integral over this step of each Lagrange polynomial through the last `order` points, newest first."""
    start, end = points[index], points[index + 1]
    at = (end - start) / 2 * _NODES + (end + start) / 2
    known = points[index - order + 1 : index + 1][::-1]
    factors = []
    for own in known:
        others = known[known != own]
        basis = np.prod((at[:, None] - others) / (own - others), axis=1)
        factors.append(float((end - start) / 2 * (_WEIGHTS * basis).sum()))
    return factors
