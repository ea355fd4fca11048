"""The tensors of a LoRA's modules: read as matrices in full precision and written from such; what is told of them."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import prod
from typing import Any

import numpy as np

from pochade.adapters.algorithm import Shape
from pochade.adapters.lora import inner
from pochade.errors import MalformedFileError, is_out_of_memory
from pochade.files import Array, Weights
from pochade.files.metadata import table_in
from pochade.kinds import lora
from pochade.kinds.adapter import ALPHA, DOWN, LENGTHS, UP
from pochade.kinds.lora_naming import Parts
from pochade.operations.casting import FLOATS, as_array, as_tensor, gathered, torch_dtype

_MODULE, _ARGUMENTS = "ss_network_module", "ss_network_args"
_SIZES = ("ss_network_dim", "ss_network_alpha")
_FULL = {_MODULE: "lycoris.kohya", _ARGUMENTS: '{"algo": "full"}'}


def loaded(parts: Parts) -> dict[str, Any]:
    """Return a module's tensors as torch's, in full precision. Raises ValueError for NaN and infinity."""
    arrays = {name: gathered(each.info, each.blocks) for name, each in parts.items()}
    tensors = {name: as_tensor(array, parts[name].info.dtype).float() for name, array in arrays.items()}
    if not all(is_finite(each) for each in tensors.values()):
        raise ValueError("some numbers are not finite")
    return tensors


def is_finite(tensor: Any) -> bool:
    """Tell whether a tensor has no NaN and no infinity; its extremes tell it many times faster than a mask."""
    return not tensor.numel() or all(each.isfinite() for each in tensor.aminmax())


@contextmanager
def explained(weights: Weights, module: str) -> Iterator[None]:
    """Turn what goes wrong with tensors that do not fit each other into a MalformedFileError."""
    try:
        yield
    except (KeyError, IndexError, RuntimeError, ValueError) as error:
        if is_out_of_memory(error):
            raise
        where = weights.path or "the weights"
        raise MalformedFileError(where, f"the tensors of '{module}' cannot be used: {error}") from error


def matrices(tensors: Mapping[str, Any]) -> tuple[Any, Any, Shape]:
    """Return up as [out, rank], down as [rank, in times kernel], and the shape of the weight that they change.

    A Tucker core goes into down.
    """
    up, down = tensors[UP], inner(tensors)
    left, right = up.reshape(up.shape[0], -1), down.reshape(down.shape[0], -1)
    return left, right, (left.shape[0], *down.shape[1:])


def is_wide(shape: Shape) -> bool:
    """Tell whether a weight is a convolution with a kernel, which has a rank of its own."""
    return prod(shape[2:]) > 1


def dtype_of(parts: Parts) -> str:
    """Return the number format of a module's tensors; full precision where they differ."""
    formats = {each.info.dtype for name, each in parts.items() if name != ALPHA} & FLOATS
    return formats.pop() if len(formats) == 1 else "F32"


def written(left: Any, right: Any, shape: Shape, alpha: float, dtype: str) -> dict[str, Array]:
    """Return a module's tensors for left [out, rank] and right [rank, in times kernel], by the names behind its own.

    `shape` is that of the weight; alpha is kept in full precision.
    """
    rank = right.shape[0]
    parts = {DOWN: right.reshape(rank, *shape[1:]), UP: left.reshape(shape[0], rank, *[1] * (len(shape) - 2))}
    target = torch_dtype(dtype)
    arrays = {name: as_array(each.to(target).contiguous(), dtype) for name, each in parts.items()}
    return arrays | {ALPHA: np.array(alpha, np.float32)}


def network_told(tensors: Weights, metadata: Mapping[str, str]) -> dict[str, str]:
    """Return what a LoRA's metadata still tells truly of new tensors in kohya's naming, with ranks and alphas as now.

    What is LoRA now is told as that, and what is made of whole differences alone as LyCORIS's full.
    """
    told = lora.lasting(metadata)
    sizes = lora.told_sizes({name: tensors[name] for name in tensors if name.endswith((DOWN, ALPHA))}, metadata)
    if not sizes:
        told = {name: text for name, text in told.items() if name not in _SIZES}
        return told | (_FULL if any(name.endswith(".diff") for name in tensors) else {})
    told |= sizes
    arguments = table_in(told, _ARGUMENTS)
    if _MODULE in told and "algo" not in arguments:
        told[_MODULE] = "networks.lora"
    if "dora_wd" in arguments and not any(name.endswith(LENGTHS) for name in tensors):
        told[_ARGUMENTS] = json.dumps({name: value for name, value in arguments.items() if name != "dora_wd"})
    return told
