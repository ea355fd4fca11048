"""Numbers from one format to another, block by block, without ever holding a tensor whole."""

from collections.abc import Iterable, Iterator
from functools import partial
from math import prod
from typing import Any

import numpy as np

from pochade.files import LazyArray, TensorInfo
from pochade.files.dtypes import numpy_dtype
from pochade.files.weights import BLOCK, Array

FLOATS = {"F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2"}
_NUMPY_S = {"F64", "F32", "F16"}  # torch and numpy know the others by different types


def cast(tensor: LazyArray, dtype: str) -> LazyArray:
    """Return a tensor in another float format; whole numbers stay as they are."""
    if tensor.info.dtype not in FLOATS or tensor.info.dtype == dtype:
        return tensor
    info = TensorInfo(dtype, tensor.info.shape)
    stream = partial(_cast_blocks, tensor, dtype)
    return LazyArray(info, partial(gathered, info, stream), stream)


def gathered(info: TensorInfo, stream: Any) -> Array:
    """Return a tensor whole that comes in blocks."""
    whole = np.empty(info.size, numpy_dtype(info.dtype))
    done = 0
    for block in stream():
        whole[done : done + len(block)] = block
        done += len(block)
    return whole.reshape(info.shape)


def _cast_blocks(tensor: LazyArray, dtype: str) -> Iterator[Array]:
    """numpy's halves are many times slower than torch's, and a fresh buffer costs more than the arithmetic."""
    import torch

    buffer = torch.empty(BLOCK, dtype=torch_dtype(dtype))
    room = as_array(buffer, dtype)
    for block in tensor.blocks():
        count = len(block)
        buffer[:count].copy_(as_tensor(block, tensor.info.dtype))
        yield room[:count]


def in_blocks(pieces: Iterable[Any], dtype: str) -> Iterator[Array]:
    """Yield the numbers of torch tensors, however they come, in full blocks of a format.

    The block is used again and again: a fresh one would cost more than the arithmetic.
    """
    import torch

    room = torch.empty(BLOCK, dtype=torch_dtype(dtype))
    block, filled = as_array(room, dtype), 0
    for left in (piece.reshape(-1) for piece in pieces):
        while len(left):
            part, left = left[: BLOCK - filled], left[BLOCK - filled :]
            room[filled : filled + len(part)].copy_(part)
            filled += len(part)
            if filled == BLOCK:
                yield block
                filled = 0
    if filled:
        yield block[:filled]


def rows_of(tensor: LazyArray, count: int) -> Iterator[Any]:
    """Yield a tensor as float32 of torch, `count` indices of its first axis at a time; each is lost with the next."""
    import torch

    width = prod(tensor.info.shape[1:])
    room = torch.empty(count * width)
    filled = 0
    for left in (as_tensor(block, tensor.info.dtype) for block in tensor.blocks()):
        while len(left):
            part, left = left[: len(room) - filled], left[len(room) - filled :]
            room[filled : filled + len(part)].copy_(part)
            filled += len(part)
            if filled == len(room):
                yield room.view(-1, *tensor.info.shape[1:])
                filled = 0
    if filled:
        yield room[:filled].view(-1, *tensor.info.shape[1:])


def torch_dtype(dtype: str) -> Any:
    """Return torch's number format of this name; it is called as numpy's."""
    import torch

    return getattr(torch, numpy_dtype(dtype).name)


def as_tensor(array: Array, dtype: str) -> Any:
    """Return a torch tensor on an array's memory."""
    import torch

    if dtype not in FLOATS - _NUMPY_S:
        return torch.from_numpy(array)
    return torch.from_numpy(array.view(f"i{array.itemsize}")).view(torch_dtype(dtype))


def as_array(tensor: Any, dtype: str) -> Array:
    """Return an array on a torch tensor's memory."""
    import torch

    if dtype not in FLOATS - _NUMPY_S:
        array: Array = tensor.numpy()
        return array
    bits: Array = tensor.view(torch.int16 if tensor.itemsize > 1 else torch.int8).numpy()
    return bits.view(numpy_dtype(dtype))
