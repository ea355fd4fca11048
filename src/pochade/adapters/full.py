"""The whole difference, stored as it is."""

from typing import Any

from pochade.adapters.algorithm import Algorithm, Parts, Shape


def _delta(_weight: Any, parts: Parts, strength: float) -> Any:
    return parts["diff"] * strength


def _shape(parts: Parts, _kernel: Shape) -> Shape:
    return tuple(parts["diff"].shape)


FULL = Algorithm("full", ("diff",), _delta, _shape, lambda _: ("diff",))
