"""Hypernetworks that tags of a prompt ask for: `<hypernet:name:strength>`."""

import math
import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import torch

from pochade import files
from pochade.errors import FileError, shown
from pochade.generation.device.notes import Notes
from pochade.generation.model import DTYPES, Model
from pochade.kinds.hypernetwork import OF_PICTURES, family_of
from pochade.library.find import models_of
from pochade.library.hashes import Mark, mark_of
from pochade.networks.hypernetwork import Applied, Hypernetwork, attentions_of, load_hypernetwork, width_of
from pochade.prompts.extra_networks import Tag

KIND = "hypernet"
_KEPT = 4  # loaded for the next request


class Hypernetworks:
    """The hypernetworks in folders of models, by the names of their files."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = tuple(folders)
        self._load = lru_cache(maxsize=_KEPT)(_load)

    def asked_for(self, tags: Sequence[Tag], model: Model, notes: Notes) -> tuple[Applied, ...]:
        """What tags ask for, in their order; what cannot act on the model is noted."""
        tags = [tag for tag in tags if tag.kind.casefold() == KIND]
        paths = self._listed() if tags else {}
        applied = (self._asked_for(tag, paths, model, notes) for tag in tags)
        return tuple(each for each in applied if each is not None)

    def _listed(self) -> dict[str, Path]:
        """Every file by its name in small letters; the first of several with one name."""
        found: dict[str, Path] = {}
        for _, path in models_of(self._folders, "hypernetwork"):
            found.setdefault(path.stem.casefold(), path)
        return found

    def _asked_for(self, tag: Tag, paths: dict[str, Path], model: Model, notes: Notes) -> Applied | None:
        title = f"The hypernetwork '{shown(tag.items[0])}'"
        path, strength = paths.get(tag.items[0].casefold()), strength_of(tag)
        if strength is None:
            notes.add(f"{title} has the strength '{shown(tag.items[1])}', which is no number; it has no effect.")
            return None
        if path is None:
            notes.add(f"{title} is not in the folders of models; it has no effect.")
            return None
        try:
            network = self._load(path, mark_of(os.stat(path)), model.device, DTYPES[model.dtype])
        except (FileError, OSError) as error:
            notes.add(f"{title} cannot be used ({str(error).rstrip('.')}); it has no effect.")
            return None
        return Applied(network, strength) if _fits(network, model, title, notes) else None


def strength_of(tag: Tag) -> float | None:
    """The number behind the name, 1 without one; None for what is no number."""
    try:
        strength = float(tag.items[1]) if len(tag.items) > 1 else 1.0
    except ValueError:
        return None
    return strength if math.isfinite(strength) else None


def _fits(network: Hypernetwork, model: Model, title: str, notes: Notes) -> bool:
    """Whether a hypernetwork acts on a model at all. If it does not, or only in part, this is noted."""
    theirs, ours = set(network), {str(width_of(each)) for each in attentions_of(model.networks.unet)}
    foreign = theirs - ours - OF_PICTURES
    made_for = family_of({f"{width}.": () for width in foreign})
    kind = made_for.title if made_for else f"widths of {', '.join(sorted(theirs, key=int))}"
    if foreign or not theirs & ours:
        effect = "only its part for the picture acts" if theirs & ours else "it has no effect"
        notes.add(f"{title} is for {kind}, and this model is one of {model.family.title}; {effect}.")
    return bool(theirs & ours)


def _load(path: Path, mark: Mark, device: torch.device, dtype: torch.dtype) -> Hypernetwork:
    """Load a file in a certain state."""
    return load_hypernetwork(files.open(path), device, dtype)
