"""DoRA: the direction of a changed weight with a learnt length per channel (Liu et al. 2024, arXiv:2402.09353).

The change is that of any other algorithm. The length is taken per output or per input channel; the shape of
`dora_scale` tells which.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

from pochade.adapters.algorithm import Algorithm, Parts

_LEAST_LENGTH = 1e-12  # a channel of zeros stays one


def dora(algorithms: Sequence[Algorithm]) -> Algorithm:
    """Return the algorithm that goes with one of these."""
    return Algorithm("dora", ("dora_scale",), partial(_delta, algorithms), rows=partial(_rows, algorithms))


def _delta(algorithms: Sequence[Algorithm], weight: Any, parts: Parts, strength: float) -> Any:
    changed = weight + _inner(algorithms, parts).delta(weight, parts, 1.0).reshape(weight.shape)
    magnitude = parts["dora_scale"].reshape(-1)
    by_output = parts["dora_scale"].shape[0] != 1 or weight.shape[0] == 1
    axis = 0 if by_output else 1
    others = tuple(each for each in range(weight.ndim) if each != axis)
    length = (changed * changed).sum(axis=others, keepdims=True) ** 0.5
    shape = [1] * weight.ndim
    shape[axis] = -1
    return (changed * (magnitude.reshape(shape) / (length + _LEAST_LENGTH)) - weight) * strength


def _inner(algorithms: Sequence[Algorithm], parts: Parts) -> Algorithm:
    inner = next((each for each in algorithms if each.recognises(parts)), None)
    if inner is None:
        raise ValueError("dora_scale has no change beside it")
    return inner


def _rows(algorithms: Sequence[Algorithm], parts: Parts) -> tuple[str, ...]:
    rows = _inner(algorithms, parts).rows(parts)
    by_output = parts["dora_scale"].shape[0] != 1
    return (*rows, "dora_scale") if by_output and rows else ()
