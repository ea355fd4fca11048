"""LoHa: the elementwise product of two low-rank matrices (Hyeon-Woo et al. 2021, arXiv:2108.06098)."""

from typing import Any

from pochade.adapters.algorithm import Algorithm, Parts, Shape, product, scale_of, tucker, unfolded


def hadamard(parts: Parts) -> Any:
    """Return the product of both halves, scaled."""
    scale = scale_of(parts, parts["hada_w1_b"].shape[0])
    return _half(parts, "1") * _half(parts, "2") * scale


def _half(parts: Parts, number: str) -> Any:
    left, right = parts[f"hada_w{number}_a"], parts[f"hada_w{number}_b"]
    core = parts.get(f"hada_t{number}")
    return product(left, right) if core is None else tucker(core, left.swapaxes(0, 1), right)


def _delta(weight: Any, parts: Parts, strength: float) -> Any:
    return hadamard(parts).reshape(weight.shape) * strength


def _shape(parts: Parts, kernel: Shape) -> Shape:
    left, right = parts["hada_w1_a"].shape, parts["hada_w1_b"].shape
    if "hada_t1" in parts:
        return (left[1], right[1], *parts["hada_t1"].shape[2:])
    return unfolded(left[0], right[1], kernel)


def _rows(parts: Parts) -> tuple[str, ...]:
    return () if "hada_t1" in parts else ("hada_w1_a", "hada_w2_a")


LOHA = Algorithm("loha", ("hada_w1_a",), _delta, _shape, _rows)
