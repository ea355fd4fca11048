"""LoRAs on the weights of loaded networks: put on once, so that no step costs more, and taken off to the bit."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from pochade import adapters, files
from pochade.errors import MalformedFileError, NumericalError, shown
from pochade.families import Family
from pochade.generation.device.memory import Memory
from pochade.generation.extra_networks.lora_blocks import BlockWeights
from pochade.kinds.adapter import TEXT, is_used, modules_of, targets, text_encoders
from pochade.kinds.lora_naming import Parts
from pochade.networks import Networks
from pochade.operations.blocks import blocks_of
from pochade.operations.lora_change import Change, changes_of
from pochade.operations.lora_tensors import is_finite


@dataclass(frozen=True)
class Layer:
    """One LoRA as it lies on some networks: its file in a certain state, and how it counts there."""

    name: str
    path: Path
    state: tuple[int, int]
    strength: float
    blocks: str = ""
    rank: int | None = None


@dataclass(frozen=True)
class _Fit:
    """The modules of each layer, and those of them that do not fit what it lies on."""

    modules: dict[Layer, set[str]] = field(default_factory=lambda: defaultdict(set))
    misfits: dict[Layer, set[str]] = field(default_factory=lambda: defaultdict(set))

    def notes(self, title: str) -> list[str]:
        """What to tell of the misfits."""
        return [self._note(layer, title) for layer in self.misfits]

    def _note(self, layer: Layer, title: str) -> str:
        name, all_of_it, misfits = shown(layer.name), len(self.modules[layer]), self.misfits[layer]
        if len(misfits) == all_of_it:
            return f"{name}: none of its {all_of_it} modules for {title} fits; it has no effect there."
        one = shown(min(misfits))
        return f"{name}: {len(misfits)} of its {all_of_it} modules for {title} do not fit and are left out, e.g. {one}."


class Patches:
    """What lies on a model's networks: on its UNet, and on its text encoders."""

    def __init__(self, networks: Networks, family: Family, memory: Memory, title: str) -> None:
        texts = {each.prefix: own for each, own in zip(family.encoders, networks.text_encoders, strict=True)}
        self.unet = PatchedWeights({family.unet_prefix: networks.unet}, family, memory, f"the UNet of {title}")
        self.text = PatchedWeights(texts, family, memory, f"the text encoders of {title}")

    def take_off(self) -> None:
        """Give all networks their own weights back."""
        self.unet.put_on(())
        self.text.put_on(())


class PatchedWeights:
    """The weights of some networks, named as in a checkpoint, and the layers of LoRAs that lie on them.

    Every weight is computed from what it was, in full precision, and rounded once. What it was is kept: in main memory,
    or in the mapped file that it comes from.
    """

    def __init__(self, networks: Mapping[str, nn.Module], family: Family, memory: Memory, title: str) -> None:
        self._tensors = {
            prefix + name: tensor for prefix, network in networks.items() for name, tensor in network.named_parameters()
        }
        self._places = targets(self._tensors, family)
        self._blocks = blocks_of(self._tensors)
        self._family = family
        self._memory = memory
        self._title = title
        self._is_text = family.unet_prefix not in networks
        self._originals: dict[str, Tensor] = {}
        self._on: tuple[Layer, ...] | None = ()
        self._notes: list[str] = []

    def put_on(self, layers: tuple[Layer, ...]) -> None:
        """Have these layers on and no others; what does not fit is left out, and noted.

        Raises FileError for a broken file, NumericalError where a weight becomes too large for its dtype.
        """
        if layers != self._on:
            fit = _Fit()
            changes = self._changes(layers, fit)
            self._on = None  # until all is done: whoever stops it leaves some of both
            self._change(changes, fit)
            self._on, self._notes = layers, fit.notes(self._title)
        for note in self._notes:
            self._memory.notes.add(note)

    def _changes(self, layers: Sequence[Layer], fit: _Fit) -> Mapping[str, Sequence[tuple[Layer, Change]]]:
        """What layers do to each tensor, in order; modules without a place here are misfits."""
        changes: dict[str, list[tuple[Layer, Change]]] = defaultdict(list)
        for layer in layers:
            for change in self._changes_of(layer, fit):
                if change.target.name in self._tensors:
                    changes[change.target.name].append((layer, change))
                else:
                    fit.misfits[layer].add(change.module)
        return changes

    def _changes_of(self, layer: Layer, fit: _Fit) -> Iterator[Change]:
        weights, factors = files.open(layer.path), BlockWeights(layer.blocks, self._family)
        for module, parts in modules_of(weights).items():
            if module.startswith(TEXT) != self._is_text or not _is_change(parts) or self._is_needless(module):
                continue
            fit.modules[layer].add(module)
            place = self._places.get(module)
            if place is None:
                fit.misfits[layer].add(module)
            elif strength := layer.strength * factors.of(self._blocks[place.name]):
                yield from changes_of(weights, module, place, parts, strength, layer.rank)

    def _is_needless(self, module: str) -> bool:
        """Whether a module is for one of the last layers of a text encoder, which are not built."""
        prefixes = tuple(prefix for prefix, _ in text_encoders(self._family))
        return module.startswith(prefixes) and not is_used(module, self._family)

    def _change(self, changes: Mapping[str, Sequence[tuple[Layer, Change]]], fit: _Fit) -> None:
        self._memory.workplace.clear()
        for name in self._originals.keys() - changes.keys():
            self._tensors[name].data = self._originals[name].to(self._tensors[name].device)
            del self._originals[name]
        for name, its_changes in changes.items():
            tensor = self._tensors[name]
            if name not in self._originals:
                self._originals[name] = tensor.data.cpu()
            tensor.data = self._changed(name, its_changes, fit).to(tensor.device)

    def _changed(self, name: str, changes: Sequence[tuple[Layer, Change]], fit: _Fit) -> Tensor:
        """A weight with what layers do to it."""
        original, dtype = self._originals[name], self._tensors[name].dtype
        weight = original.to(self._memory.device, torch.float32, copy=True)
        for layer, change in changes:
            tensors = change.loaded(weight.device)
            try:
                change.add(weight, 0, len(weight), tensors)
            except MalformedFileError:
                fit.misfits[layer].add(change.module)
        rounded = weight.to(dtype)
        if not is_finite(rounded) and is_finite(original):
            names = " and ".join(dict.fromkeys(shown(layer.name) for layer, _ in changes))
            raise NumericalError(f"{names} changes '{name}' beyond what {_short(dtype)} holds; lower the weight.")
        return rounded


def _is_change(parts: Parts) -> bool:
    """Whether tensors are those of a module; a file may hold others too."""
    return adapters.algorithm_of(parts) is not None or any(name in parts for name in adapters.BIAS)


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
