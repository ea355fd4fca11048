"""GLoRA: a low-rank change of the weight's own inputs beside the usual one (Chavan et al. 2023, arXiv:2306.07967)."""

from typing import Any

from pochade.adapters.algorithm import Algorithm, Parts, mixed, product, scale_of


def _delta(weight: Any, parts: Parts, strength: float) -> Any:
    before = product(parts["a1.weight"], parts["a2.weight"])
    beside = product(parts["b1.weight"], parts["b2.weight"])
    scale = scale_of(parts, parts["a2.weight"].shape[0]) * strength
    changed = mixed(weight, before.reshape(before.shape[0], -1))
    return (changed + beside.reshape(weight.shape)) * scale


GLORA = Algorithm("glora", ("a1.weight",), _delta, rows=lambda _: ("b1.weight",))
