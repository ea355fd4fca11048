"""Bake LoRAs, and a VAE, into a checkpoint: the result draws as the model does with them put on."""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pochade import files, kinds
from pochade.errors import UsageError
from pochade.events import Event, Warned
from pochade.files import LazyArray, Weights
from pochade.files.weights import Array
from pochade.kinds.adapter import TEXT, modules_of, targets
from pochade.operations.casting import computed, in_blocks, rows_of
from pochade.operations.convert import Conversion, converted
from pochade.operations.lineage import Hashing, lineage
from pochade.operations.lora_change import Change, changes_of
from pochade.operations.lora_effect import family_for
from pochade.operations.writing import check_target, keeps_metadata, writing

_AT_A_TIME = 1 << 18  # numbers of a tensor


@dataclass(frozen=True)
class Adapter:
    """A LoRA file with its strengths in the UNet and in the text encoders."""

    path: Path
    unet: float = 1.0
    text: float = 1.0

    def __post_init__(self) -> None:
        if not math.isfinite(self.unet) or not math.isfinite(self.text):
            raise UsageError(
                f"The weights of {self.path} are {self.unet} and {self.text}; they must be finite numbers."
            )

    @classmethod
    def read(cls, written: str) -> "Adapter":
        """Read `FILE`, `FILE:W` or `FILE:W:TEW`. Raises UsageError for weights that are no numbers."""
        name, *weights = written.split(":") if not Path(written).is_file() else [written]
        try:
            unet = float(weights[0]) if weights else 1.0
            return cls(Path(name), unet, float(weights[1]) if len(weights) > 1 else unet)
        except ValueError as error:
            raise UsageError(f"--lora {written}: write FILE, FILE:W or FILE:W:TEW, the weights as numbers.") from error


def baking(model: Path, target: Path, loras: Sequence[Adapter] = (), vae: Path | None = None) -> Iterator[Event]:
    """Bake LoRAs and a VAE into a model file; yields Steps in megabytes and Saved at the end.

    Raises UsageError when a LoRA is for another family or nothing would change.
    """
    if not loras and vae is None:
        raise UsageError("There is nothing to bake: give --lora FILE or --vae FILE.")
    format = check_target(target, model, *(each.path for each in loras), *([vae] if vae else []))
    weights = kinds.open_model(model)
    opened = [files.open(each.path) for each in loras]
    parents = {"model": weights, **{f"lora-{at}": lora for at, lora in enumerate(opened, 1)}}
    hashing = Hashing(parents)
    if keeps_metadata(format):
        hashing.begin()
    changed, unused = baked(weights, [(lora, each) for lora, each in zip(opened, loras, strict=True)])
    if unused:
        shown = ", ".join(unused[:3])
        yield Warned(f"{len(unused)} modules have no place in this model and are left out, e.g. {shown}.")
    if vae:
        changed = converted(changed, Conversion(vae=vae, keep_junk=True))
    options = {"loras": [[each.unet, each.text] for each in loras], "vae": vae.name if vae else None}
    told = lineage("bake", parents, options, hashing)
    yield from writing(target, changed, {"format": "pt"} | weights.metadata | told)


def baked(weights: Weights, loras: Sequence[tuple[Weights, Adapter]]) -> tuple[Weights, list[str]]:
    """Return the weights with LoRAs baked in, computed when asked for, and the modules that found no place."""
    places = targets(weights, family_for([lora for lora, _ in loras], weights))
    changes: dict[str, list[Change]] = defaultdict(list)
    unused: list[str] = []
    for lora, each in loras:
        found = 0
        for module, parts in modules_of(lora).items():
            if module not in places:
                unused.append(module)
                continue
            found += 1
            strength = each.text if module.startswith(TEXT) else each.unet
            for change in changes_of(lora, module, places[module], parts, strength):
                changes[change.target.name].append(change)
        if not found:
            raise UsageError(f"{each.path}: none of its modules has a place in {weights.path}; nothing would change.")
    tensors = {name: weights.lazy(name) for name in weights}
    for name, its_changes in changes.items():
        if name in tensors:
            tensors[name] = computed(tensors[name].info, partial(_changed, tensors[name], its_changes))
    return Weights(tensors, weights.metadata, weights.path, weights.format, weights.extra), unused


def _changed(tensor: LazyArray, changes: Sequence[Change]) -> Iterator[Array]:
    """Compute one tensor in full precision and round it once; a few rows at a time where all changes go by rows."""
    info = tensor.info
    jobs = [(change, change.loaded()) for change in changes]
    count = info.shape[0] if info.shape else 1
    by_rows = all(change.rows(tensors) for change, tensors in jobs)
    at_a_time = max(1, _AT_A_TIME * count // max(1, info.size)) if by_rows else count
    yield from in_blocks(_added(rows_of(tensor, at_a_time), count, jobs), info.dtype)


def _added(pieces: Iterator[Any], count: int, jobs: Sequence[tuple[Change, Mapping[str, Any]]]) -> Iterator[Any]:
    start = 0
    for rows in pieces:
        for change, tensors in jobs:
            change.add(rows, start, count, tensors)
        yield rows
        start += len(rows)
