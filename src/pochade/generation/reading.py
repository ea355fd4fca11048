"""One text encoder reads prompts: texts in, weighted vectors out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from pochade.families import TextEncoder
from pochade.networks import OpenCLIPText, TextNetwork
from pochade.prompts import Chunk, Emphasis, Tokenizer, chunk, emphasis
from pochade.prompts.tokenizer import END

_PADS = {"clip": END, "openclip": 0}


class Read(NamedTuple):
    """Vectors of some texts [N, T, D], and one for each whole text [N, P] from encoders that give it."""

    vectors: Tensor
    pooled: Tensor | None


@dataclass(frozen=True)
class Reader:
    """A text encoder with the facts of its family; `skip` is the layer from the end whose vectors are taken."""

    network: TextNetwork
    encoder: TextEncoder
    tokenizer: Tokenizer
    skip: int
    emphasis: Emphasis
    comma_backtrack: int

    def read(self, texts: Sequence[str]) -> Read:
        """The texts, float32; T is 77 for each window, and the shorter texts are filled up with empty windows.

        The texts of one call share the mean that emphasis restores, repeated ones counting as often as they occur: old
        seeds of edited prompts depend on it. The vector of a whole text is that of its first window.
        """
        cut = {text: self._chunks(text) for text in texts}
        longest = max(map(len, cut.values()))
        empty = self._chunks("")
        rows = [cut[text] + empty * (longest - len(cut[text])) for text in texts]
        windows = [self._read_windows(column) for column in zip(*rows, strict=True)]
        return Read(torch.cat([each.vectors for each in windows], dim=1), windows[0].pooled)

    def _chunks(self, text: str) -> list[Chunk]:
        return chunk(
            text,
            self.tokenizer,
            comma_backtrack=self.comma_backtrack,
            emphasis=self.emphasis,
            pad=_PADS[self.encoder.layout],
        )

    def _read_windows(self, chunks: Sequence[Chunk]) -> Read:
        """One window of every text. Equal windows are encoded once."""
        unique = list(dict.fromkeys(each.tokens for each in chunks))
        device = next(self.network.parameters()).device
        vectors, pooled = self._encode(torch.tensor(unique, device=device))
        places = [unique.index(each.tokens) for each in chunks]
        multipliers = torch.tensor([each.multipliers for each in chunks], device=device)
        weighted = emphasis.apply(self.emphasis, vectors.float()[places], multipliers)
        return Read(weighted, None if pooled is None else pooled.float()[places])

    def _encode(self, tokens: Tensor) -> Read:
        vectors, normed = self.network.embed(tokens), self.encoder.normed
        if isinstance(self.network, OpenCLIPText) and self.encoder.pooled:
            ends = tokens.argmax(dim=-1)  # the end of a text is the token with the highest number
            return Read(*self.network.encode_pooled(vectors, ends, self.skip, normed))
        return Read(self.network.encode(vectors, self.skip, normed), None)
