"""What an algorithm is, and the little that all of them share."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, TypeAlias

Parts: TypeAlias = Mapping[str, Any]
"""The tensors of one module by the names behind its own, e.g. `lora_up.weight`."""

Shape: TypeAlias = tuple[int, ...]

BIAS = ("diff_b", "b_norm")
"""Tensors that are added to the module's bias instead."""


@dataclass(frozen=True)
class Algorithm:
    """A module is of the algorithm when one of its `marks` is there.

    `delta(weight, parts, strength)` returns what is added to the weight, in its shape or one that reshapes to it.
    `shape(parts, kernel)` returns the weight's shape; `kernel` counts where the parts are flat. It is None where the
    weight's own numbers play a part in what is added. Where each row of the weight is changed by itself, `rows(parts)`
    names the tensors whose first axis is the weight's; the others serve every row.
    """

    name: str
    marks: tuple[str, ...]
    delta: Callable[[Any, Parts, float], Any]
    shape: Callable[[Parts, Shape], Shape] | None = None
    rows: Callable[[Parts], tuple[str, ...]] = lambda _: ()

    def recognises(self, parts: Iterable[str]) -> bool:
        """Tell whether a module's tensors are of the algorithm."""
        return any(mark in parts for mark in self.marks)


def scale_of(parts: Parts, rank: int) -> float:
    """Return alpha / rank, or what the tensor `scale` says in its place; 1 where neither is given."""
    if "scale" in parts:
        return float(parts["scale"])
    alpha = float(parts["alpha"]) if "alpha" in parts else 0.0
    return alpha / rank if alpha else 1.0


def unfolded(rows: int, columns: int, kernel: Shape) -> Shape:
    """Return the shape of a weight whose columns are its inputs times its kernel."""
    return (rows, columns // prod(kernel), *kernel)


def product(left: Any, right: Any) -> Any:
    """Return left @ right over all axes but the first of the right one: [out, r, 1, 1] x [r, in, k, k]."""
    rank = right.shape[0]
    flat = left.reshape(-1, rank) @ right.reshape(rank, -1)
    return flat.reshape(left.shape[0], *right.shape[1:])


def tucker(core: Any, left: Any, right: Any) -> Any:
    """Return a Tucker decomposition's tensor: core [i, j, k, l], left [out, i], right [j, in] to [out, in, k, l]."""
    first, second, *kernel = core.shape
    rows = (left.reshape(-1, first) @ core.reshape(first, -1)).reshape(-1, second, *kernel)
    return mixed(rows, right.reshape(second, -1))


def mixed(tensor: Any, matrix: Any) -> Any:
    """Return tensor [out, in, ...] with its second axis multiplied by matrix [in, new]."""
    flat = tensor.reshape(tensor.shape[0], tensor.shape[1], -1).swapaxes(1, 2)
    return (flat @ matrix).swapaxes(1, 2).reshape(tensor.shape[0], matrix.shape[1], *tensor.shape[2:])


def kronecker(left: Any, right: Any) -> Any:
    """Return the Kronecker product of [a, b] and [c, d, ...]: [a c, b d, ...]."""
    rows, columns = left.shape[0] * right.shape[0], left.shape[1] * right.shape[1]
    kernel = right.shape[2:]
    flat = right.reshape(1, right.shape[0], 1, right.shape[1], -1)
    spread = left.reshape(left.shape[0], 1, left.shape[1], 1, 1) * flat
    return spread.reshape(rows, columns, *kernel)


def identity(like: Any, size: int) -> Any:
    """Return the identity matrix as an array of the same library, type and device."""
    if hasattr(like, "new_ones"):
        return like.new_ones(size).diag()
    import numpy as np

    return np.eye(size, dtype=like.dtype)


def inverse(matrices: Any) -> Any:
    """Return the inverse of every matrix in a stack."""
    if hasattr(matrices, "inverse"):
        return matrices.inverse()
    import numpy as np

    return np.linalg.inv(matrices)
