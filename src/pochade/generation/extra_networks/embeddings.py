"""Textual inversion: words of a prompt for which files hold the vectors."""

from dataclasses import dataclass

import torch
from torch import Tensor

from pochade.errors import MalformedFileError
from pochade.families import Family
from pochade.files import Weights
from pochade.kinds.embedding import bundled_in, family_of, is_negative, vectors_of
from pochade.networks import tensor_of

_NOT_LISTED = str.maketrans("", "", ",:")  # they would end a name too early


@dataclass(frozen=True, eq=False)
class Embedding:
    """A word, and its vectors [n, width] for each text encoder; `family` is that whose text encoders have the widths.

    `digest` are the first 12 hex digits of the SHA-256 of its file; where a LoRA brings it along, the LoRA's name.
    """

    name: str
    vectors: tuple[Tensor, ...]
    family: Family | None = None
    digest: str = ""
    is_negative: bool = False

    @classmethod
    def of(cls, name: str, weights: Weights, digest: str = "") -> "Embedding":
        """Read what an embedding's file holds. Raises MalformedFileError when that is no embedding."""
        vectors = tuple(tensor_of(each.load()).to(torch.float32, copy=True) for each in vectors_of(weights))
        if not all(each.isfinite().all() for each in vectors):
            raise MalformedFileError(weights.path or name, "is a broken embedding: it holds NaN or infinity")
        return cls(name, vectors, family_of(weights.shapes()), digest, is_negative(name, weights))

    @property
    def count(self) -> int:
        """How many places in a prompt it takes."""
        return max(map(len, self.vectors))

    @property
    def widths(self) -> tuple[int, ...]:
        """How many numbers a vector has, for each text encoder."""
        return tuple(each.shape[1] for each in self.vectors)

    @property
    def listed(self) -> str:
        """Name and hash as A1111 lists them."""
        return f"{self.name.translate(_NOT_LISTED)}: {self.digest}"


def bundled_embeddings(weights: Weights, owner: str = "") -> dict[str, Embedding]:
    """The embeddings that the LoRA `owner` brings along, by name. Raises MalformedFileError where one is none."""
    return {name: Embedding.of(name, each, owner) for name, each in bundled_in(weights).items()}
