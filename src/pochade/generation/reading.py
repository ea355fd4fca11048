"""One text encoder reads prompts: texts in, weighted vectors out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from pochade.families import TextEncoder
from pochade.networks import OpenCLIPText, TextNetwork
from pochade.prompts import Chunk, Emphasis, Slot, Tokenizer, chunk, emphasis
from pochade.prompts.tokenizer import END

Named: TypeAlias = tuple[tuple[str, ...], ...]

_PADS = {"clip": END, "openclip": 0}


class Read(NamedTuple):
    """Vectors of some texts [N, T, D], and one for each whole text [N, P] from encoders that give it.

    `named` are the names of embeddings in each text, window by window.
    """

    vectors: Tensor
    pooled: Tensor | None
    named: Sequence[Named] = ()


@dataclass(frozen=True)
class Reader:
    """A text encoder with the facts of its family; `skip` is the layer from the end whose vectors are taken."""

    network: TextNetwork
    encoder: TextEncoder
    tokenizer: Tokenizer
    skip: int
    emphasis: Emphasis
    comma_backtrack: int

    def read(self, texts: Sequence[str], embeddings: Mapping[str, Tensor] | None = None) -> Read:
        """The texts, float32; T is 77 for each window, and the shorter texts are filled up with empty windows.

        Where a text holds the name of one of the embeddings, the vectors of that [n, width] stand in its place.

        The texts of one call share the mean that emphasis restores, repeated ones counting as often as they occur: old
        seeds of edited prompts depend on it. The vector of a whole text is that of its first window.
        """
        embeddings = embeddings or {}
        counts = {name: len(vectors) for name, vectors in embeddings.items()}
        cut = {text: self._chunks(text, counts) for text in texts}
        longest = max(map(len, cut.values()))
        empty = self._chunks("", {})
        rows = [cut[text] + empty * (longest - len(cut[text])) for text in texts]
        windows = [self._read_windows(column, embeddings) for column in zip(*rows, strict=True)]
        named = [tuple(tuple(slot.name for slot in each.slots) for each in row) for row in rows]
        return Read(torch.cat([each.vectors for each in windows], dim=1), windows[0].pooled, named)

    def _chunks(self, text: str, counts: Mapping[str, int]) -> list[Chunk]:
        return chunk(
            text,
            self.tokenizer,
            counts,
            comma_backtrack=self.comma_backtrack,
            emphasis=self.emphasis,
            pad=_PADS[self.encoder.layout],
        )

    def _read_windows(self, chunks: Sequence[Chunk], embeddings: Mapping[str, Tensor]) -> Read:
        """One window of every text. Equal windows are encoded once."""
        unique = list(dict.fromkeys((each.tokens, each.slots) for each in chunks))
        device = next(self.network.parameters()).device
        tokens = torch.tensor([ids for ids, _ in unique], device=device)
        embedded = _substituted(self.network.embed(tokens), [slots for _, slots in unique], embeddings)
        vectors, pooled, _ = self._encode(embedded, tokens)
        places = [unique.index((each.tokens, each.slots)) for each in chunks]
        multipliers = torch.tensor([each.multipliers for each in chunks], device=device)
        weighted = emphasis.apply(self.emphasis, vectors.float()[places], multipliers)
        return Read(weighted, None if pooled is None else pooled.float()[places])

    def _encode(self, vectors: Tensor, tokens: Tensor) -> Read:
        normed = self.encoder.normed
        if isinstance(self.network, OpenCLIPText) and self.encoder.pooled:
            ends = tokens.argmax(dim=-1)  # the end of a text is the token with the highest number
            return Read(*self.network.encode_pooled(vectors, ends, self.skip, normed))
        return Read(self.network.encode(vectors, self.skip, normed), None)


def _substituted(vectors: Tensor, slots: Sequence[tuple[Slot, ...]], embeddings: Mapping[str, Tensor]) -> Tensor:
    """Token vectors of windows [N, 77, D] with those of embeddings in their slots, behind the start token."""
    for window, inside in enumerate(slots):
        for slot in inside:
            start = 1 + slot.offset
            vectors[window, start : start + slot.count] = embeddings[slot.name].to(vectors)
    return vectors
