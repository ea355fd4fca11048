"""Carry tensors over where one of the original's stands for several of diffusers': queries, keys and values in one,
three times as high.
"""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from pochade.files import LazyArray, Weights

Names: TypeAlias = Mapping[str, tuple[str, ...]]
"""Names of the original, each with those of diffusers, in the order in which their tensors lie in it."""

_TURNED = {"text_projection.weight", "visual_projection.weight"}
"""Matrices of diffusers whose axes the original has exchanged."""


def unpacked(weights: Weights, names: Names) -> Weights:
    """Return tensors in the original's names as diffusers has them, still lazy; what `names` has not is left out.

    Raises ValueError for a tensor whose shape does not allow it.
    """
    arrays: dict[str, LazyArray] = {}
    for old, new in names.items():
        arrays |= dict(zip(new, map(_turned, new, _divided(weights.lazy(old), len(new))), strict=True))
    return Weights(arrays, weights.metadata, weights.path, weights.format, weights.extra)


def packed(weights: Weights, names: Names) -> Weights:
    """Return tensors in diffusers' names as the original has them, still lazy; what `names` has not is left out.

    Raises ValueError for tensors whose shapes do not allow it.
    """
    arrays: dict[str, LazyArray] = {}
    for old, new in names.items():
        parts = [_turned(name, weights.lazy(name)) for name in new]
        arrays[old] = _stacked(parts) if len(parts) > 1 else parts[0]
    return Weights(arrays, weights.metadata, weights.path, weights.format, weights.extra)


def _divided(tensor: LazyArray, count: int) -> list[LazyArray]:
    """Return a tensor's equal parts along its first axis."""
    if count == 1:
        return [tensor]
    shape = tensor.info.shape
    if not shape or shape[0] % count:
        raise ValueError(f"shape {list(shape)} does not divide into {count}")
    height = shape[0] // count
    return [tensor.rows(at * height, (at + 1) * height) for at in range(count)]


def _stacked(parts: Sequence[LazyArray]) -> LazyArray:
    """Return one tensor of equal parts, such as `_divided` gives."""
    if len({each.info for each in parts}) > 1:
        shapes = ", ".join(f"{each.info.dtype} {list(each.info.shape)}" for each in parts)
        raise ValueError(f"{shapes} are no equal parts of one tensor")
    return LazyArray.stacked(parts)


def _turned(name: str, tensor: LazyArray) -> LazyArray:
    return tensor.transposed() if name in _TURNED else tensor
