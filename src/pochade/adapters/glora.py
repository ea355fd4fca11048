"""GLoRA: a low-rank change of the weight's own inputs beside the usual one (Chavan et al. 2023, arXiv:2306.07967).

The weight W becomes W + W a1 a2 + b1 b2. Older files have the two of each pair the other way round; A1111, which knows
these alone, passes over their alpha.
"""

from typing import Any

from pochade.adapters.algorithm import Algorithm, Parts, mixed, product, scale_of


def _pairs(parts: Parts) -> tuple[Any, Any, Any, Any]:
    """Return a1, a2, b1, b2 as they are multiplied: tall, wide, tall, wide."""
    names = "a2 a1 b2 b1" if _is_old(parts) else "a1 a2 b1 b2"
    first, second, third, fourth = (parts[f"{name}.weight"] for name in names.split())
    return first, second, third, fourth


def _is_old(parts: Parts) -> bool:
    rows, columns = parts["a1.weight"].shape[:2]
    return bool(rows < columns)


def _delta(weight: Any, parts: Parts, strength: float) -> Any:
    first, second, third, fourth = _pairs(parts)
    before, beside = product(first, second), product(third, fourth)
    scale = 1.0 if _is_old(parts) else scale_of(parts, second.shape[0])
    changed = mixed(weight, before.reshape(before.shape[0], -1))
    return (changed + beside.reshape(weight.shape)) * scale * strength


GLORA = Algorithm(
    "glora", ("a1.weight",), _delta, rows=lambda parts: ("b2.weight",) if _is_old(parts) else ("b1.weight",)
)
