"""(IA)^3: one factor per channel, of the outputs or the inputs (Liu et al. 2022, arXiv:2205.05638)."""

from typing import Any

from pochade.adapters.algorithm import Algorithm, Parts


def _delta(weight: Any, parts: Parts, strength: float) -> Any:
    axes = [1] * weight.ndim
    axes[1 if bool(parts["on_input"]) else 0] = -1
    return weight * parts["weight"].reshape(axes) * strength


IA3 = Algorithm("ia3", ("on_input",), _delta)
