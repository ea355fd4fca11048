"""What a LoRA's module adds to its weight, whatever its algorithm; some need the model, for its weight counts there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pochade import adapters, families, kinds
from pochade.errors import MalformedFileError, UsageError
from pochade.families import Family
from pochade.files import LazyArray, Weights
from pochade.kinds import lora
from pochade.kinds.adapter import Target, kernel_of, targets
from pochade.kinds.lora_naming import Parts
from pochade.operations.lora_tensors import explained, loaded


@dataclass(frozen=True)
class Ground:
    """What LoRAs stand on: their family, if it is known, and a model of it where one is given, weights by module."""

    family: Family | None = None
    model: Weights | None = None
    weights: Mapping[str, LazyArray] = field(default_factory=dict)

    @classmethod
    def of(cls, loras: Sequence[Weights], base: Path | None = None) -> "Ground":
        """Return the ground of LoRAs of one family. Raises FileError and UsageError when the model is none for them."""
        if base is None:
            return cls(next(filter(None, (lora.family_of(each.shapes()) for each in loras)), None))
        model = kinds.open_model(base)
        family = family_for(loras, model)
        places = targets(model, family).items()
        return cls(family, model, {module: _part(model.lazy(place.name), place) for module, place in places})

    def check(self, weights: Weights, module: str, parts: Parts) -> None:
        """Raise UsageError for a module of a LoRA that needs a weight which is not here."""
        algorithm = adapters.algorithm_of(parts)
        if algorithm is None or algorithm.shape or module in self.weights:
            return
        exact = adapters.algorithm_of({name: each.load() for name, each in parts.items()})  # axes tell OFT from BOFT
        what = f"{weights.path}: '{module}' is of {(exact or algorithm).name}, whose effect depends on the model's own"
        if self.model:
            raise UsageError(f"{what} weight, and {self.model.path} has none for it.")
        raise UsageError(f"{what} weights; give the model with --base.")

    def change(self, module: str, tensors: Mapping[str, Any], strength: float = 1.0) -> Any:
        """Return what a module's tensors add to its weight at a strength, in the weight's shape.

        Raises ValueError, RuntimeError or a LookupError when they do not fit it, or each other.
        """
        import torch

        algorithm = adapters.algorithm_of(tensors)
        if algorithm and algorithm.shape:
            weight = torch.empty(algorithm.shape(tensors, kernel_of(module, self.family)))
        else:
            weight = self._weight(module)
        return adapters.delta(weight, tensors, strength)

    def _weight(self, module: str) -> Any:
        if self.model is None:
            raise ValueError("they need the model's weight")
        with explained(self.model, module):
            return loaded({"weight": self.weights[module]})["weight"]


def family_for(loras: Sequence[Weights], model: Weights) -> Family:
    """Return a model's family. Raises MalformedFileError where it is of none, UsageError for LoRAs of another one."""
    family = families.recognise(model.shapes())
    if family is None:
        raise MalformedFileError(model.path or "the weights", "is no checkpoint of a known family.")
    for each in loras:
        other = lora.family_of(each.shapes())
        if other not in (None, family):
            raise UsageError(f"{each.path} is for {other.title if other else '?'}, the model {family.title}.")
    return family


def _part(tensor: LazyArray, place: Target) -> LazyArray:
    if place.third is None:
        return tensor
    height = tensor.info.shape[0] // 3
    return tensor.rows(place.third * height, (place.third + 1) * height)
