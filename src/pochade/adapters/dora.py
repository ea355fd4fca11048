"""DoRA: the direction of a changed weight with a learnt length per channel (Liu et al. 2024, arXiv:2402.09353).

The length is taken per output or per input channel; the shape of `dora_scale` tells which.
"""

from typing import Any

from pochade.adapters.algorithm import Algorithm, Parts
from pochade.adapters.loha import hadamard
from pochade.adapters.lokr import kronecker_product
from pochade.adapters.lora import low_rank

_LEAST_LENGTH = 1e-12  # a channel of zeros stays one


def _delta(weight: Any, parts: Parts, strength: float) -> Any:
    changed = weight + _inner(weight, parts).reshape(weight.shape)
    magnitude = parts["dora_scale"].reshape(-1)
    by_output = parts["dora_scale"].shape[0] != 1 or weight.shape[0] == 1
    axis = 0 if by_output else 1
    others = tuple(each for each in range(weight.ndim) if each != axis)
    length = (changed * changed).sum(axis=others, keepdims=True) ** 0.5
    shape = [1] * weight.ndim
    shape[axis] = -1
    return (changed * (magnitude.reshape(shape) / (length + _LEAST_LENGTH)) - weight) * strength


def _inner(weight: Any, parts: Parts) -> Any:
    if "lora_down.weight" in parts:
        return low_rank(parts)
    return hadamard(parts) if "hada_w1_a" in parts else kronecker_product(weight, parts)


def _rows(parts: Parts) -> tuple[str, ...]:
    by_output = parts["dora_scale"].shape[0] != 1
    return ("lora_up.weight", "dora_scale") if by_output and "lora_down.weight" in parts else ()


DORA = Algorithm("dora", ("dora_scale",), _delta, rows=_rows)
