"""The quantile function of the beta distribution, to double precision, with numpy alone."""

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_TERMS = 500
_HALVINGS = 60
_TINY = 1e-300
_ALMOST_ONE = 1 - 2**-53


def quantile(probability: Array, alpha: float, beta: float) -> Array:
    """The x in [0, 1] below which a beta(alpha, beta) variable falls with each probability (bisection)."""
    low, high = np.zeros_like(probability), np.ones_like(probability)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        below = cumulative(middle, alpha, beta) < probability
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return np.where(probability <= 0, 0.0, np.where(probability >= 1, 1.0, (low + high) / 2))


def cumulative(x: Array, alpha: float, beta: float) -> Array:
    """The regularised incomplete beta function I_x(alpha, beta) for x between 0 and 1."""
    x = np.clip(x, _TINY, _ALMOST_ONE)
    log_scale = math.lgamma(alpha + beta) - math.lgamma(alpha) - math.lgamma(beta)
    front = np.exp(log_scale + alpha * np.log(x) + beta * np.log1p(-x))
    straight = x < (alpha + 1) / (alpha + beta + 2)
    a, b = np.where(straight, alpha, beta), np.where(straight, beta, alpha)
    tail = front * _fraction(np.where(straight, x, 1 - x), a, b) / a
    return np.where(straight, tail, 1 - tail)


def _fraction(x: Array, a: Array, b: Array) -> Array:
    """The continued fraction of the incomplete beta function (modified Lentz method)."""
    c, d = np.ones_like(x), 1 / _nonzero(1 - (a + b) * x / (a + 1))
    value = d.copy()
    for m in range(1, _TERMS):
        before = value
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for step in (even, odd):
            d = 1 / _nonzero(1 + step * d)
            c = _nonzero(1 + step / c)
            value = value * c * d
        if np.all(np.abs(value - before) <= 1e-15 * np.abs(value)):
            break
    return value


def _nonzero(values: Array) -> Array:
    return np.where(np.abs(values) < _TINY, _TINY, values)
