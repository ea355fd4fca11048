"""Weights: a mapping from names to arrays that are brought in only when they are asked for."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from pochade.files.dtypes import checked_bytes, dtype_name, numpy_dtype

Array: TypeAlias = npt.NDArray[Any]

BLOCK = 1 << 18
"""Numbers handled at a time: enough to hide the cost of a call, few enough to stay in the processor's cache."""


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """What is known of a tensor without reading it. `dtype` is spelled as in safetensors, e.g. `F16`."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Count of numbers."""
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the numbers."""
        return checked_bytes(self.dtype, self.shape)


@dataclass(frozen=True, slots=True)
class LazyArray:
    """A tensor that `load` brings in whole, and `blocks` piece by piece."""

    info: TensorInfo
    load: Callable[[], Array]
    stream: Callable[[], Iterator[Array]] | None = None
    """Yield the blocks where there is a way that needs less memory than `load`."""

    def blocks(self) -> Iterator[Array]:
        """Yield the numbers in order as flat arrays of BLOCK at most; each is lost when the next is asked for."""
        if self.stream:
            yield from self.stream()
            return
        flat = self.load().reshape(-1)
        for start in range(0, flat.size, BLOCK):
            yield flat[start : start + BLOCK]

    @classmethod
    def of(cls, array: Array) -> "LazyArray":
        """Wrap an array that is in memory already."""
        return cls(TensorInfo(dtype_name(array.dtype), array.shape), partial(np.asarray, array))

    @classmethod
    def stacked(cls, parts: Sequence["LazyArray"]) -> "LazyArray":
        """Put tensors of one format one below another along their first axis. Raises ValueError where they have none,
        or differ in the others.
        """
        first = parts[0].info
        if not all(each.info.shape for each in parts) or len({each.info.shape[1:] for each in parts}) > 1:
            raise ValueError(f"shapes {', '.join(str(list(each.info.shape)) for each in parts)} do not stack")
        info = TensorInfo(first.dtype, (sum(each.info.shape[0] for each in parts), *first.shape[1:]))
        return cls(
            info,
            lambda: np.concatenate([each.load() for each in parts]),
            lambda: (block for each in parts for block in each.blocks()),
        )

    def reshaped(self, *shape: int) -> "LazyArray":
        """The same numbers in another shape."""
        return LazyArray(TensorInfo(self.info.dtype, shape), lambda: self.load().reshape(shape), self.blocks)

    def rows(self, start: int, stop: int) -> "LazyArray":
        """Some rows of the first axis."""
        info = TensorInfo(self.info.dtype, (stop - start, *self.info.shape[1:]))
        width = prod(self.info.shape[1:])
        return LazyArray(
            info, lambda: self.load()[start:stop], lambda: _between(self.blocks(), start * width, stop * width)
        )

    def transposed(self) -> "LazyArray":
        """A matrix with its axes exchanged. Raises ValueError for what is none."""
        if len(self.info.shape) != 2:
            raise ValueError(f"shape {list(self.info.shape)} is no matrix")
        rows, columns = self.info.shape
        return LazyArray(TensorInfo(self.info.dtype, (columns, rows)), lambda: np.ascontiguousarray(self.load().T))


def _between(blocks: Iterator[Array], start: int, stop: int) -> Iterator[Array]:
    """Yield the numbers from `start` to `stop` of what comes in blocks."""
    done = 0
    for block in blocks:
        part = block[max(0, start - done) : max(0, stop - done)]
        if part.size:
            yield part
        done += block.size
        if done >= stop:
            return


class Weights(Mapping[str, Array]):
    """Named arrays with text metadata, read from a file or held in memory.

    An array of a mapped file is a private view of it: no bytes are copied until they are used, and writing into
    the view never reaches the file. `extra` holds what stood beside the tensors, e.g. `global_step`.
    """

    def __init__(
        self,
        arrays: Mapping[str, LazyArray],
        metadata: Mapping[str, str] | None = None,
        path: Path | None = None,
        format: str = "memory",
        extra: Mapping[str, object] | None = None,
    ) -> None:
        self._arrays = dict(arrays)
        self.metadata = dict(metadata or {})
        self.path = path
        self.format = format
        self.extra = dict(extra or {})

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], metadata: Mapping[str, str] | None = None) -> "Weights":
        """Hold arrays that are in memory."""
        return cls({name: LazyArray.of(array) for name, array in arrays.items()}, metadata)

    def __getitem__(self, name: str) -> Array:
        return self._arrays[name].load()

    def __contains__(self, name: object) -> bool:
        return name in self._arrays

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def __repr__(self) -> str:
        return f"<Weights: {len(self)} tensors, {self.format}, {self.path or 'in memory'}>"

    def lazy(self, name: str) -> LazyArray:
        """Return the tensor without bringing it in."""
        return self._arrays[name]

    def info(self, name: str) -> TensorInfo:
        """Return dtype and shape without reading the tensor."""
        return self._arrays[name].info

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return every name with its shape."""
        return {name: each.info.shape for name, each in self._arrays.items()}


def view(buffer: Any, info: TensorInfo, offset: int, strides: tuple[int, ...] | None = None) -> Array:
    """Look at bytes of a buffer as an array, without a copy. Offset and strides are in bytes."""
    if not info.size:
        return np.empty(info.shape, numpy_dtype(info.dtype))
    return np.ndarray(info.shape, numpy_dtype(info.dtype), buffer, offset, strides)
