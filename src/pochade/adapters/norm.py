"""The whole difference of a normalisation layer's weight."""

from typing import Any

from pochade.adapters.algorithm import Algorithm, Parts


def _delta(_weight: Any, parts: Parts, strength: float) -> Any:
    return parts["w_norm"] * strength


NORM = Algorithm("norm", ("w_norm",), _delta, rows=lambda _: ("w_norm",))
