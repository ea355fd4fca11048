"""A model file with what its names and shapes tell, worked out when asked for."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pochade import families, kinds
from pochade.families import Family
from pochade.files import Weights
from pochade.kinds import checkpoint, controlnet, embedding, hypernetwork, lora
from pochade.kinds.completeness import gaps
from pochade.kinds.components import TEXT, TEXT_2, UNET, VAE, components
from pochade.kinds.image_parts import image_part_of
from pochade.kinds.prediction import prediction_of

_WHOLE = (UNET, VAE, TEXT)
_IN_PARTS = {"checkpoint", *_WHOLE, "controlnet"}
_FAMILY_OF = {
    TEXT: families.recognise_text,
    "lora": lora.family_of,
    "embedding": embedding.family_of,
    "hypernetwork": hypernetwork.family_of,
}


@dataclass(frozen=True)
class View:
    """An open file: its kind, family, parts and what is of no use in it."""

    weights: Weights
    path: Path

    @classmethod
    def of(cls, path: Path) -> "View":
        """Open a model file or diffusers folder. Raises FileError as kinds.open_model() does."""
        return cls(kinds.open_model(path), path)

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Every tensor's shape by its name."""
        return self.weights.shapes()

    @cached_property
    def kind(self) -> str:
        """What the file is, `unknown` if nothing tells."""
        return kinds.recognise(self.shapes)

    @cached_property
    def family(self) -> Family | None:
        """The family that the file is of, or made for."""
        return _FAMILY_OF.get(self.kind, families.recognise)(self.shapes)

    @cached_property
    def components(self) -> dict[str, list[str]]:
        """The names of every part's tensors; nothing for kinds without parts."""
        return components(self.weights) if self.kind in _IN_PARTS else {}

    @cached_property
    def junk(self) -> set[str]:
        """Tensors that can go without any loss."""
        return set(checkpoint.junk(self.weights)) if self.components else set()

    @property
    def left_behind(self) -> dict[str, object]:
        """What a training program stored beside the weights."""
        return {name: value for name, value in self.weights.extra.items() if name in checkpoint.LEFTOVERS and value}

    @property
    def variant(self) -> str | None:
        """The branch of the family, or the form of a ControlNet."""
        if self.kind == "controlnet":
            return controlnet.form(self.shapes)
        return self.family.variant(self.shapes) if self.family and UNET in self.components else None

    @property
    def missing(self) -> list[str]:
        """The parts that a checkpoint should have and has not; `text-encoder` alone stands for all that read text."""
        if self.kind != "checkpoint":
            return []
        missing = [part for part in _WHOLE if part not in self.components]
        if self.family is None:
            return missing
        image = image_part_of(self.family.branch(self.shapes))
        places = [*(each.prefix for each in self.family.encoders), *([image.prefix] if image else [])]
        absent = [place for place in places if not any(name.startswith(place) for name in self.shapes)]
        missing += [part for part in components(absent) if part not in missing]
        return [part for part in missing if part != TEXT_2 or TEXT_2 in self.components or TEXT in self.components]

    @cached_property
    def gaps(self) -> dict[str, list[str]]:
        """What the networks of a checkpoint, or one alone, lack inside, by part."""
        return gaps(self.shapes, self.family or families.SD1) if self.kind in {"checkpoint", *_WHOLE} else {}

    @property
    def prediction(self) -> str | None:
        """What the UNet predicts; None without one, or if nothing tells."""
        return prediction_of(self.weights, self.family) if self.family and UNET in self.components else None
