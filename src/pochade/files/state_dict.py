"""Find the tensors in what a checkpoint's pickle holds."""

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pochade.errors import MalformedFileError
from pochade.files.pickles import Known, Stub
from pochade.files.weights import LazyArray

_WRAPPERS = ("state_dict", "params_ema", "params", "model", "module", "net", "ema", "model_ema")
_PARALLEL = "module."  # torch's wrapper for several devices puts this before every name
_DEEPEST = 12
_NUMBERS = re.compile("f[248]|[iu][1248]|b1")
_MOST_VALUES = 2_000_000


def unwrapped(path: Path, value: object) -> tuple[dict[str, LazyArray], dict[str, object]]:
    """Return the tensors by dotted name, and what stood beside them in the outer wrappings."""
    extra: dict[str, object] = {}
    for _ in range(_DEEPEST):
        inner = _inside(value)
        wrapper = next((key for key in _WRAPPERS if _is_table(inner.get(key))), None)
        if wrapper is None or any(isinstance(each, LazyArray) for each in inner.values()):
            break
        extra = {str(key): each for key, each in inner.items() if key != wrapper} | extra
        value = inner[wrapper]
    tensors: dict[str, LazyArray] = {}
    for name, found in leaves(path, value):
        each = _array(found) or found
        if not isinstance(each, LazyArray):
            extra.setdefault(name, each)
        elif name in tensors:
            raise MalformedFileError(path, f"holds two tensors named {name[:200]!r}")
        else:
            tensors[name] = each
    if all(name.startswith(_PARALLEL) for name in tensors):
        tensors = {name.removeprefix(_PARALLEL): each for name, each in tensors.items()}
    return tensors, extra


def leaves(path: Path, value: object) -> Iterator[tuple[str, object]]:
    """Yield every value that is no container, with the dotted path to it. Each container is entered once."""
    seen: set[int] = set()
    waiting: list[tuple[str, int, object]] = [("", 0, value)]
    for _ in range(_MOST_VALUES):
        if not waiting:
            return
        name, depth, each = waiting.pop()
        inner = _inside(each)
        if not inner:
            yield name, each
        elif id(each) not in seen and depth < _DEEPEST:
            seen.add(id(each))
            items = [(f"{name}.{key}" if name else str(key), depth + 1, child) for key, child in inner.items()]
            waiting.extend(reversed(items))
    raise MalformedFileError(path, f"holds more than {_MOST_VALUES} values")


def _inside(value: object) -> dict[Any, object]:
    """Return what a container holds, by key or index; nothing for other values."""
    if isinstance(value, Stub):
        state = value.state if isinstance(value.state, dict) else {}
        value = state.get("_parameters", state | value.items)
    if isinstance(value, (list, tuple)):
        return dict(enumerate(value))
    if isinstance(value, dict):
        return {key.name if isinstance(key, Known) else key: each for key, each in value.items()}
    return {}


def _array(value: object) -> LazyArray | None:
    """Return the array that a stub of numpy's stands for, if it holds plain numbers."""
    if not isinstance(value, Stub) or not value.name.endswith("multiarray _reconstruct"):
        return None
    match value.state:
        case (_, tuple(shape), Stub(arguments=(str(code), *_)) as dtype, bool(by_columns), bytes(content)):
            order = dtype.state[1] if isinstance(dtype.state, tuple) and len(dtype.state) > 1 else "<"
            if _NUMBERS.fullmatch(code) and order in ("<", "|") and all(type(side) is int for side in shape):
                numbers = np.frombuffer(content, np.dtype(f"{order}{code}"))
                if all(side >= 0 for side in shape) and math.prod(shape) == numbers.size:
                    return LazyArray.of(numbers.reshape(shape, order="F" if by_columns else "C"))
    return None


def _is_table(value: object) -> bool:
    """Tell whether a value can hold named tensors."""
    return isinstance(value, dict) and bool(value)
