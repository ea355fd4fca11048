"""Textual inversion: vectors that stand for a word."""

import re
from pathlib import Path

from pochade.errors import MalformedFileError
from pochade.families import FAMILIES, Family, Shapes
from pochade.files import LazyArray, Weights

PARTNERS = ("-neg", "-uncond", "_neg")
"""Behind a word's name, what the word is called that goes with it into the negative prompt."""

_PAIR = ("clip_l", "clip_g")
_BUNDLE = "bundle_emb."
_STATED = "modelspec.is_negative_embedding"
_NEGATIVE = re.compile(
    r"negative|[-_. ](?:neg|uncond)(?![a-z])|^un(?:realistic|aesthetic)"
    r"|^(?:very)?bad[-_]?(?:hand|prompt|artist|image|dream|pic|quality|anatomy)",
    re.IGNORECASE,
)


def family_of(shapes: Shapes) -> Family | None:
    """Return the family whose text encoders have vectors of these widths."""
    widths = {shape[-1] for shape in shapes.values() if shape}
    return next((family for family in FAMILIES if widths == {each.width for each in family.encoders}), None)


def is_token(name: str) -> bool:
    """Tell whether a tensor is named by the token that it stands for, as diffusers does it."""
    return name[:1] + name[-1:] == "<>"


def vectors_of(weights: Weights) -> tuple[LazyArray, ...]:
    """Return a word's vectors [n, width] for each text encoder; those for CLIP-L come before those for CLIP-G.

    Raises MalformedFileError for what is no embedding.
    """
    names = _PAIR if set(_PAIR) <= set(weights) else tuple(weights)
    path = weights.path or Path("the embedding")
    if len(names) != 1 and names is not _PAIR:
        raise MalformedFileError(path, f"is no embedding: it holds {len(names)} tensors, not the vectors of one word")
    found = tuple(_rows(weights.lazy(name)) for name in names)
    counts = {each.info.shape[0] for each in found if len(each.info.shape) == 2 and each.info.size}
    if len(counts) != 1 or any(len(each.info.shape) != 2 for each in found):
        shapes = " and ".join(str(list(each.info.shape)) for each in found)
        raise MalformedFileError(path, f"is no embedding: shape {shapes} is not that of the vectors of one word")
    return found


def _rows(array: LazyArray) -> LazyArray:
    """A single vector as one row."""
    return array.reshaped(1, *array.info.shape) if len(array.info.shape) == 1 else array


def bundled_in(weights: Weights) -> dict[str, Weights]:
    """Return the embeddings that a LoRA brings along, by the words they stand for."""
    found: dict[str, dict[str, LazyArray]] = {}
    for name in weights:
        word, dot, inner = name.removeprefix(_BUNDLE).partition(".")
        if name.startswith(_BUNDLE) and dot:
            found.setdefault(word, {})[inner] = weights.lazy(name)
    return {word: Weights(arrays, path=weights.path) for word, arrays in found.items()}


def is_negative(name: str, weights: Weights) -> bool:
    """Tell whether an embedding belongs into the negative prompt: as its file states, else by its name."""
    stated = weights.metadata.get(_STATED)
    return bool(_NEGATIVE.search(name)) if stated is None else stated.lower() == "true"
