"""Weighted sums of the same tensor of several models, block by block."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from pochade.files import LazyArray
from pochade.files.weights import BLOCK
from pochade.operations.casting import abreast, flat, torch_dtype

_BLENDED = {"F32", "F16", "BF16"}  # formats of which torch blends two in one step, each number in float32

_AT_A_TIME = BLOCK // 4  # numbers to widen: they should stay in the processor's nearest cache


def summed(same: Sequence[LazyArray], factors: Sequence[float]) -> Iterator[Any]:
    """Yield the sum of tensors of one size, each times its factor; each piece is lost with the next."""
    formats = {each.info.dtype for each in same}
    is_blend = len(same) == 2 and len(formats) == 1 and formats <= _BLENDED and math.isclose(sum(factors), 1)
    return _blended(same, factors[1]) if is_blend else _added(same, factors)


def _blended(same: Sequence[LazyArray], share: float) -> Iterator[Any]:
    """What lies between two tensors, where no copy of either is needed."""
    import torch

    room = torch.empty(BLOCK, dtype=torch_dtype(same[0].info.dtype))
    for one, other in abreast([flat(each) for each in same]):
        yield torch.lerp(one, other, share, out=room[: len(one)])


def _added(same: Sequence[LazyArray], factors: Sequence[float]) -> Iterator[Any]:
    import torch

    total, room = torch.empty(2, _AT_A_TIME)
    for pieces in abreast([flat(each) for each in same], _AT_A_TIME):
        size = len(pieces[0])
        made = total[:size].copy_(pieces[0]).mul_(factors[0])
        for piece, factor in zip(pieces[1:], factors[1:], strict=True):
            made.add_(room[:size].copy_(piece), alpha=factor)
        yield made
