"""LoRA and its relatives: what each algorithm adds to a weight, as pure functions of arrays, numpy's or torch's.

The same functions bake files, adapt a loaded model and train. A new algorithm is one file and its name in ALGORITHMS.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from pochade.adapters.algorithm import BIAS, Algorithm
from pochade.adapters.boft import BOFT
from pochade.adapters.dora import dora
from pochade.adapters.full import FULL
from pochade.adapters.glora import GLORA
from pochade.adapters.ia3 import IA3
from pochade.adapters.loha import LOHA
from pochade.adapters.lokr import LOKR
from pochade.adapters.lora import LORA
from pochade.adapters.norm import NORM
from pochade.adapters.oft import OFT

__all__ = ["ALGORITHMS", "BIAS", "Algorithm", "algorithm_of", "delta", "rows_of"]

_PLAIN = (LOKR, LOHA, GLORA, IA3, BOFT, OFT, LORA, FULL, NORM)

ALGORITHMS = (dora(_PLAIN), *_PLAIN)
"""In the order in which they are recognised."""


def algorithm_of(parts: Mapping[str, Any] | Iterable[str]) -> Algorithm | None:
    """Return the algorithm of one module's tensors, given by their names behind the module's."""
    return next((each for each in ALGORITHMS if each.recognises(parts)), None)


def delta(weight: Any, parts: Mapping[str, Any], strength: float = 1.0) -> Any:
    """Return what one module's tensors add to its weight at a strength. Raises ValueError when they do not fit it."""
    algorithm = algorithm_of(parts)
    if algorithm is None:
        raise ValueError(f"no algorithm knows the tensors {', '.join(sorted(parts))}")
    return algorithm.delta(weight, parts, strength).reshape(weight.shape)


def rows_of(parts: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the tensors that go with the weight's rows, where each row is changed by itself; none where not."""
    if not parts.keys() - BIAS:
        return tuple(parts)
    algorithm = algorithm_of(parts)
    return algorithm.rows(parts) if algorithm else ()
