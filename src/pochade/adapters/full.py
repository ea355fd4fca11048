"""The whole difference, stored as it is."""

from typing import Any

from pochade.adapters.algorithm import Algorithm, Parts


def _delta(_weight: Any, parts: Parts, strength: float) -> Any:
    return parts["diff"] * strength


FULL = Algorithm("full", ("diff",), _delta)
