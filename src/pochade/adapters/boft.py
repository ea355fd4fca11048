"""BOFT: rotations in the stages of a butterfly (Liu et al. 2023, arXiv:2311.06243)."""

from collections.abc import Iterable, Mapping
from typing import Any

from pochade.adapters.algorithm import Algorithm, Parts
from pochade.adapters.oft import rescaled, rotations

_DIMENSIONS = 4


def _delta(weight: Any, parts: Parts, strength: float) -> Any:
    blocks = parts["oft_blocks"]
    stages, count, size, _ = blocks.shape
    turns = rotations(blocks, parts, weight.shape[0])
    turned = weight.reshape(weight.shape[0], -1)
    for stage in range(stages):
        width = 2**stage * (size // 2)
        order = turned.reshape(-1, 2, width, turned.shape[-1]).swapaxes(1, 2).reshape(count, size, -1)
        order = turns[stage] @ order
        turned = order.reshape(-1, width, 2, turned.shape[-1]).swapaxes(1, 2).reshape(weight.shape[0], -1)
    return (rescaled(turned.reshape(weight.shape), parts) - weight) * strength


class _Butterfly(Algorithm):
    """OFT's name with a further axis for the stages."""

    def recognises(self, parts: Parts | Iterable[str]) -> bool:
        """Tell by the number of axes."""
        return isinstance(parts, Mapping) and getattr(parts.get("oft_blocks"), "ndim", 0) == _DIMENSIONS


BOFT = _Butterfly("boft", ("oft_blocks",), _delta)
