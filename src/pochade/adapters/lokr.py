"""LoKr: the Kronecker product of a small and a larger matrix, each whole or of low rank (LyCORIS, arXiv:2309.14859)."""

import math
from typing import Any

from pochade.adapters.algorithm import Algorithm, Parts, Shape, kronecker, product, scale_of, tucker, unfolded


def kronecker_product(weight: Any, parts: Parts) -> Any:
    """Return the product in the weight's shape, scaled; alpha counts only where one half is of low rank."""
    small = parts["lokr_w1"] if "lokr_w1" in parts else product(parts["lokr_w1_a"], parts["lokr_w1_b"])
    ranked = next((parts[name] for name in ("lokr_w2_b", "lokr_w1_b") if name in parts), None)
    scale = 1.0 if ranked is None else scale_of(parts, ranked.shape[0])
    return kronecker(small, _large(weight, parts)).reshape(weight.shape) * scale


def _large(weight: Any, parts: Parts) -> Any:
    if "lokr_w2" in parts:
        return parts["lokr_w2"]
    left, right = parts["lokr_w2_a"], parts["lokr_w2_b"]
    if "lokr_t2" in parts:
        return tucker(parts["lokr_t2"], left.swapaxes(0, 1), right)
    flat = product(left, right)
    kernel = weight.shape[2:]
    return flat.reshape(flat.shape[0], -1, *kernel) if math.prod(kernel) > 1 else flat.reshape(flat.shape[0], -1)


def _delta(weight: Any, parts: Parts, strength: float) -> Any:
    return kronecker_product(weight, parts) * strength


def _shape(parts: Parts, kernel: Shape) -> Shape:
    small, large = _half_shape(parts, "lokr_w1", ()), _half_shape(parts, "lokr_w2", kernel)
    return (small[0] * large[0], small[1] * large[1], *large[2:])


def _half_shape(parts: Parts, name: str, kernel: Shape) -> Shape:
    if name in parts:
        return tuple(parts[name].shape)
    left, right = parts[f"{name}_a"].shape, parts[f"{name}_b"].shape
    if name == "lokr_w2" and "lokr_t2" in parts:
        return (left[1], right[1], *parts["lokr_t2"].shape[2:])
    return unfolded(left[0], right[1], kernel)


LOKR = Algorithm("lokr", ("lokr_w1", "lokr_w1_a", "lokr_w2", "lokr_w2_a"), _delta, _shape)
