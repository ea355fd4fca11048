"""LoRA files in three namings, there and back: kohya's, diffusers' and PEFT's.

kohya's has underscores for dots and an alpha for every module. The other two have dots and no alpha: readers take their
numbers as they are, so alpha over rank goes into them.
"""

import re
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Literal, TypeAlias

import numpy as np

from pochade import adapters
from pochade.adapters import lora as low_rank
from pochade.errors import MalformedFileError, UsageError
from pochade.families import Family
from pochade.files import Array, LazyArray, TensorInfo, Weights
from pochade.files.dtypes import numpy_dtype
from pochade.kinds.adapter import ALPHA, CORE, DOWN, LENGTHS, TEXT, UNET, UP, modules_of, text_encoders
from pochade.kinds.lora import lasting
from pochade.layouts.kohya import diffusers_path, dotted, original_path

Naming = Literal["kohya", "diffusers", "peft"]
Parts: TypeAlias = Mapping[str, LazyArray]
"""The tensors of one module by the names behind its own, not yet read."""

_MODULE = re.compile(rf"({UNET}|{TEXT}([12]?)_)(.+)")
_UNET_FOLDER = "unet"
_CONVOLUTION = 4  # axes
_SUFFIXES = {
    ("diffusers", True): {DOWN: "lora.down.weight", UP: "lora.up.weight"},
    ("diffusers", False): {DOWN: "lora_linear_layer.down.weight", UP: "lora_linear_layer.up.weight"},
    ("peft", True): {DOWN: "lora_A.weight", UP: "lora_B.weight"},
    ("peft", False): {DOWN: "lora_A.weight", UP: "lora_B.weight"},
}
"""What down and up are called, in the UNet and in text encoders."""


def naming_of(names: Iterable[str]) -> Naming:
    """Return the naming of a LoRA file's tensors."""
    names = list(names)
    if any(name.startswith((UNET, TEXT)) for name in names):
        return "kohya"
    return "peft" if any(".lora_A" in name for name in names) else "diffusers"


def in_naming(weights: Weights, naming: Naming, family: Family) -> Weights:
    """Return a LoRA under the names of another world, tensor by tensor and still lazy.

    Every algorithm can have kohya's names. Raises UsageError for what the others have none for: all but LoRA, LoCon
    and DoRA, and modules that are none of Stable Diffusion's.
    """
    tensors: dict[str, LazyArray] = {}
    for module, parts in modules_of(weights).items():
        try:
            tensors |= _in_kohya(module, parts, family) if naming == "kohya" else _dotted(module, parts, naming, family)
        except IndexError as error:
            problem = f"the tensors of '{module}' have shapes that no LoRA has"
            raise MalformedFileError(weights.path or "the weights", problem) from error
    return Weights(tensors, lasting(weights.metadata), weights.path, weights.format, weights.extra)


def kohya_module(module: str, family: Family) -> str:
    """Return the name that kohya's trainer gives a module: SDXL's UNet goes by the original, its encoders by number.

    What is none of Stable Diffusion's modules keeps its name.
    """
    place = _place(module, family)
    if place is None:
        return module
    folder, path = place
    if folder == _UNET_FOLDER:
        path = original_path(path) if family.deep else path
        return UNET + path.replace(".", "_")
    prefix = next(prefix for prefix, encoder in text_encoders(family) if encoder.folder == folder)
    return prefix + path.replace(".", "_")


def _place(module: str, family: Family) -> tuple[str, str] | None:
    """Return a module's folder and its path there in diffusers' layout; None for what is none of Stable Diffusion's."""
    found = _MODULE.fullmatch(module)
    path = dotted(found[3]) if found else None
    if found is None or path is None:
        return None
    if found[1] == UNET:
        return _UNET_FOLDER, diffusers_path(path)
    at = 1 if found[2] == "2" else 0
    return (family.encoders[at].folder, path) if at < len(family.encoders) else None


def _in_kohya(module: str, parts: Parts, family: Family) -> dict[str, LazyArray]:
    named = dict(parts)
    if DOWN in parts and ALPHA not in parts:
        named[ALPHA] = LazyArray.of(np.array(parts[DOWN].info.shape[0], np.float32))
    name = kohya_module(module, family)
    return {f"{name}.{suffix}" if suffix else name: tensor for suffix, tensor in named.items()}


def _dotted(module: str, parts: Parts, naming: Naming, family: Family) -> dict[str, LazyArray]:
    place = _place(module, family)
    if place is None:
        raise UsageError(f"'{module}' is no module of {family.title}, so that only kohya's naming has a name for it.")
    if not {DOWN, UP} <= parts.keys() <= {DOWN, UP, CORE, ALPHA, LENGTHS}:
        algorithm = adapters.algorithm_of(parts)
        what = algorithm.name if algorithm else " and ".join(sorted(parts))
        raise UsageError(f"'{module}' is of {what}; diffusers and PEFT have names for LoRA, LoCon and DoRA alone.")
    folder, path = place
    suffixes = _SUFFIXES[naming, folder == _UNET_FOLDER]
    named = {suffixes[DOWN]: _folded(parts), suffixes[UP]: parts[UP]}
    if LENGTHS in parts:
        named["lora_magnitude_vector.weight"] = _lengths(module, parts)  # without the end, text encoders leave it out
    return {f"{folder}.{path}.{suffix}": tensor for suffix, tensor in named.items()}


def _folded(parts: Parts) -> LazyArray:
    """Return down with alpha over rank in its numbers, and with the core of a Tucker decomposition."""
    down, core = parts[DOWN], parts.get(CORE)
    shape = (core.info.shape[0], down.info.shape[1], *core.info.shape[2:]) if core else down.info.shape
    return LazyArray(TensorInfo(down.info.dtype, shape), partial(_fold, parts))


def _fold(parts: Parts) -> Array:
    """Compute in full precision and round once; where nothing changes, no bit does."""
    tensors = {name: parts[name].load().astype(np.float32) for name in (DOWN, CORE, ALPHA) if name in parts}
    folded: Array = low_rank.inner(tensors) * np.float32(low_rank.scale(tensors))
    return folded.astype(numpy_dtype(parts[DOWN].info.dtype))


def _lengths(module: str, parts: Parts) -> LazyArray:
    """Return DoRA's lengths in PEFT's shape, [out] or [1, out, 1, 1]."""
    lengths, down = parts[LENGTHS], parts[DOWN]
    size = lengths.info.size
    if lengths.info.shape[0] != size:
        raise UsageError(f"'{module}' is a DoRA with lengths per input; PEFT knows only those per output.")
    return lengths.reshaped(1, size, 1, 1) if len(down.info.shape) == _CONVOLUTION else lengths.reshaped(size)
