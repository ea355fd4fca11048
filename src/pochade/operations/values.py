"""What only the numbers tell: some that are none, and weights of nothing but zeros. Every number is read, in blocks."""

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np

from pochade.files import LazyArray
from pochade.kinds.components import TEXT, UNET, VAE
from pochade.operations.findings import SHOWN, Problem, command, listed
from pochade.operations.view import View

_PATTERNS: dict[str, tuple[type[np.unsignedinteger], int]] = {
    "F8_E4M3": (np.uint8, 0x7F),
    "F8_E5M2": (np.uint8, 0x7C),
    "F16": (np.uint16, 0x7C00),
    "BF16": (np.uint16, 0x7F80),
    "F32": (np.uint32, 0x7F800000),
    "F64": (np.uint64, 0x7FF0000000000000),
}
"""By number format: whole numbers of its size, and the bits that are all set in NaN and infinity alone."""

_TRAINED = (UNET, TEXT, "text-encoder-2")
_MATRIX = 2  # biases of zeros are common, weights of zeros are not


def broken_values(view: View) -> Iterator[Problem]:
    """Yield what is wrong with the numbers of a file; reads all of them in constant memory.

    Raises FileError when the file changes meanwhile.
    """
    states = {name: _state(view.weights.lazy(name)) for name in view.weights}
    parts = {part: [name for name in names if states[name] != "fine"] for part, names in view.components.items()}
    bad = [name for name, state in states.items() if state == "bad"]
    if bad:
        found = [part for part, names in parts.items() if any(states[name] == "bad" for name in names)]
        place = f" in {' and '.join(found)}" if found else ""
        fix = _other_vae(view) if found == [VAE] else "get another copy of it"
        message = f"There is NaN or infinity{place}: {_named(bad)}."
        yield Problem("nan-or-inf", message, "Pictures come out black or as noise.", fix)
    if broken := parts.get(VAE):
        is_bad = any(states[name] == "bad" for name in broken)
        message = f"The VAE holds {'NaN or infinity' if is_bad else 'nothing but zeros'} in {_named(broken)}."
        why = f"Pictures come out {'black' if is_bad else 'grey or washed out'}."
        yield Problem("vae-broken", message, why, _other_vae(view))
    for part in _TRAINED:
        if empty := [name for name in parts.get(part, ()) if states[name] == "zero"]:
            message = f"The {part} holds nothing but zeros in {_named(empty)}."
            yield Problem("zero-weights", message, "What it learned there is lost.", "get another copy of it")


def _state(tensor: LazyArray) -> Literal["bad", "zero", "fine"]:
    """Tell whether a tensor holds NaN or infinity, or is a weight of zeros alone."""
    if tensor.info.dtype not in _PATTERNS:
        return "fine"
    kind, pattern = _PATTERNS[tensor.info.dtype]
    ones, sign = kind(pattern), kind(1 << (8 * np.dtype(kind).itemsize - 1))
    is_zero = len(tensor.info.shape) >= _MATRIX and tensor.info.size > 0
    for block in tensor.blocks():
        bits = block.view(kind)
        if bool(((bits & ones) == ones).any()):
            return "bad"
        is_zero = is_zero and not bool((bits & ~sign).any())
    return "zero" if is_zero else "fine"


def _named(names: Sequence[str]) -> str:
    return listed(names) if len(names) <= SHOWN else f"{len(names)} tensors, e.g. {listed(names)}"


def _other_vae(view: View) -> str:
    if view.kind == VAE:
        return "get another copy of the VAE"
    return command("bake", view.path, "-mended", "--vae", "VAE.safetensors")
