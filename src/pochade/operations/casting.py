"""Numbers from one format to another, block by block, without ever holding a tensor whole."""

import gc
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import groupby
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
    return computed(info, lambda: in_blocks(flat(tensor), dtype))


def computed(info: TensorInfo, stream: Callable[[], Iterator[Array]]) -> LazyArray:
    """Return a tensor whose numbers torch makes, in blocks."""
    _bring_torch()
    return LazyArray(info, partial(gathered, info, stream), stream)


def _bring_torch() -> None:
    """Bring in torch before alone() and the threads that compute, and look for no garbage in it, now or at the end:
    it makes half a million objects that stay.
    """
    if "torch" in sys.modules:
        return
    is_on = gc.isenabled()
    gc.disable()
    try:
        import torch  # noqa: F401

        gc.freeze()
    finally:
        if is_on:
            gc.enable()


@contextmanager
def alone() -> Iterator[None]:
    """Have torch compute within the thread that asks: where several do, its helpers would be in the way of all."""
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def gathered(info: TensorInfo, stream: Any) -> Array:
    """Return a tensor whole that comes in blocks."""
    whole = np.empty(info.size, numpy_dtype(info.dtype))
    done = 0
    for block in stream():
        whole[done : done + len(block)] = block
        done += len(block)
    return whole.reshape(info.shape)


def in_blocks(pieces: Iterable[Any], dtype: str) -> Iterator[Array]:
    """Yield the numbers of torch tensors in blocks of a format: pieces that have it as they come, others together."""
    import torch

    room = torch.empty(BLOCK, dtype=torch_dtype(dtype))
    flat = (piece.reshape(-1) for piece in pieces)
    for is_ready, run in groupby(flat, lambda piece: piece.dtype == room.dtype):
        yield from (as_array(block, dtype) for block in (run if is_ready else fillings(room, run)))


def rows_of(tensor: LazyArray, count: int) -> Iterator[Any]:
    """Yield a tensor as float32 of torch, `count` indices of its first axis at a time; each is lost with the next."""
    import torch

    shape = tensor.info.shape[1:]
    for filled in fillings(torch.empty(count * prod(shape)), flat(tensor)):
        yield filled.view(-1, *shape)


def flat(tensor: LazyArray) -> Iterator[Any]:
    """Yield the numbers of a tensor in order as flat tensors of torch."""
    return (as_tensor(block, tensor.info.dtype) for block in tensor.blocks())


def abreast(streams: Sequence[Iterator[Any]], most: int = BLOCK) -> Iterator[list[Any]]:
    """Yield the same numbers of several streams of flat tensors together, at most so many, however each is cut; none
    is copied.
    """
    left: list[Any] = [next(stream, None) for stream in streams]
    while all(each is not None for each in left):
        size = min(most, *map(len, left))
        yield [each[:size] for each in left]
        left = [
            each[size:] if len(each) > size else next(stream, None) for each, stream in zip(left, streams, strict=True)
        ]


def fillings(room: Any, pieces: Iterable[Any]) -> Iterator[Any]:
    """Yield `room` whenever it is full of the numbers of flat tensors, and what is filled of it at the end.

    It is used again and again: fresh memory would cost more than the arithmetic.
    """
    filled = 0
    for left in pieces:
        while len(left):
            part, left = left[: len(room) - filled], left[len(room) - filled :]
            room[filled : filled + len(part)].copy_(part)
            filled += len(part)
            if filled == len(room):
                yield room
                filled = 0
    if filled:
        yield room[:filled]


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
