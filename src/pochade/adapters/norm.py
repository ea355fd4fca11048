"""The whole difference of a normalisation layer's weight."""

from typing import Any

from pochade.adapters.algorithm import Algorithm, Parts, Shape


def _delta(_weight: Any, parts: Parts, strength: float) -> Any:
    return parts["w_norm"] * strength


def _shape(parts: Parts, _kernel: Shape) -> Shape:
    return tuple(parts["w_norm"].shape)


NORM = Algorithm("norm", ("w_norm",), _delta, _shape, lambda _: ("w_norm",))
