"""Prompts become context: which vectors the UNet sees at each of its calls."""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import torch
from torch import Tensor

from pochade.generation.request import Request
from pochade.networks import CLIPText
from pochade.prompts import Chunk, Emphasis, Tokenizer, chunk, composition, emphasis, schedule
from pochade.sampling import StepText

_EMPTY_CHUNK = chunk("")[0]


@dataclass(frozen=True)
class TextRules:
    """What of a Request decides how its prompts are read and encoded."""

    clip_skip: int = 1
    emphasis: Emphasis = Emphasis.ORIGINAL
    comma_backtrack: int = 20
    old_editing: bool = False
    pad: bool = False
    pad_or_cut: bool = False

    @classmethod
    def of(cls, request: Request) -> "TextRules":
        """The rules that a resolved request asks for."""
        return cls(
            clip_skip=request.clip_skip or 1,
            emphasis=Emphasis.named(request.emphasis),
            comma_backtrack=request.comma_backtrack,
            old_editing=request.old_prompt_editing,
            pad=request.pad_cond_uncond,
            pad_or_cut=request.pad_cond_uncond_v0,
        )


@dataclass(frozen=True)
class Edited:
    """One prompt over a run: its schedule of (last call, text), and the vectors [T, D] of every text."""

    entries: list[tuple[int, str]]
    vectors: dict[str, Tensor]

    def at(self, call: int) -> Tensor:
        """The vectors at the n-th model call."""
        return self.vectors[schedule.active(self.entries, call)]


@dataclass(frozen=True)
class PromptEncoder:
    """Encodes prompts with one text encoder under one set of rules."""

    text_encoder: CLIPText
    tokenizer: Tokenizer
    rules: TextRules

    def edited(self, text: str, calls: int) -> Edited:
        """A prompt without AND, over `calls` model calls."""
        entries = schedule.schedule(text, calls, old=self.rules.old_editing)
        texts = [text for _, text in entries]
        return Edited(entries, dict(zip(texts, self.encode(texts), strict=True)))

    @cached_property
    def empty(self) -> Tensor:
        """The vectors of one empty chunk [77, D]."""
        return self.encode([""])[0]

    @torch.no_grad()
    def encode(self, texts: list[str]) -> Tensor:
        """Vectors [N, 77 * chunks, D], float32; the shorter texts are filled up with empty chunks.

        The texts of one call share the mean that emphasis restores, repeated ones counting as often as they occur: old
        seeds of edited prompts depend on it.
        """
        cut = {text: self._chunks(text) for text in texts}
        longest = max(map(len, cut.values()))
        rows = [cut[text] + [_EMPTY_CHUNK] * (longest - len(cut[text])) for text in texts]
        return torch.cat([self._encode_chunks(list(column)) for column in zip(*rows, strict=True)], dim=1)

    def _chunks(self, text: str) -> list[Chunk]:
        rules = self.rules
        return chunk(text, self.tokenizer, comma_backtrack=rules.comma_backtrack, emphasis=rules.emphasis)

    def _encode_chunks(self, chunks: list[Chunk]) -> Tensor:
        """One window of every text: [N, 77, D]. Equal windows are encoded once."""
        unique = list(dict.fromkeys(each.tokens for each in chunks))
        device = self.text_encoder.text_model.final_layer_norm.weight.device
        encoded = self.text_encoder(torch.tensor(unique, device=device), self.rules.clip_skip).float()
        vectors = encoded[[unique.index(each.tokens) for each in chunks]]
        multipliers = torch.tensor([each.multipliers for each in chunks], device=device)
        weighted: Tensor = emphasis.apply(self.rules.emphasis, vectors, multipliers)
        return weighted


class RunText:
    """The encoded prompts of one run, which all its batches share."""

    def __init__(self, encoder: PromptEncoder, prompt: str, negative: str, calls: int) -> None:
        parts = composition.split(prompt)
        self._encoder = encoder
        self._parts = [encoder.edited(text, calls) for text, _ in parts]
        self._weights = tuple(weight for _, weight in parts)
        self._negative = encoder.edited(negative, calls)
        self._assembled = lru_cache(maxsize=2)(self._assemble)

    def at(self, call: int, images: int) -> StepText:
        """The context of one model call for a batch of `images`; unchanged texts give the same object again."""
        texts = tuple(schedule.active(each.entries, call) for each in (*self._parts, self._negative))
        return self._assembled(texts, images)

    def _assemble(self, texts: tuple[str, ...], count: int) -> StepText:
        vectors = [each.vectors[text] for each, text in zip((*self._parts, self._negative), texts, strict=True)]
        parts, uncond = _stacked(vectors[:-1]), vectors[-1]
        if self._encoder.rules.pad_or_cut:
            uncond = _stretched(uncond[: parts.shape[1]], parts.shape[1])
        elif self._encoder.rules.pad and len(uncond) != parts.shape[1]:
            parts, uncond = _padded(parts, uncond, self._encoder.empty)
        return StepText(
            parts=parts.repeat(count, 1, 1),
            owners=tuple(image for image in range(count) for _ in self._weights),
            weights=self._weights * count,
            uncond=uncond.expand(count, -1, -1),
        )


def _stacked(vectors: list[Tensor]) -> Tensor:
    """Parts of different lengths as one tensor; the shorter ones repeat their last vector."""
    longest = max(map(len, vectors))
    return torch.stack([_stretched(each, longest) for each in vectors])


def _stretched(vectors: Tensor, length: int) -> Tensor:
    missing = length - len(vectors)
    return torch.cat([vectors, vectors[-1:].expand(missing, -1)]) if missing > 0 else vectors


def _padded(parts: Tensor, uncond: Tensor, empty: Tensor) -> tuple[Tensor, Tensor]:
    """The shorter of the two lengthened by copies of the empty chunk."""
    chunks = (parts.shape[1] - len(uncond)) // len(empty)
    if chunks > 0:
        return parts, torch.cat([uncond, *[empty] * chunks])
    return torch.cat([parts, *[empty.expand(len(parts), -1, -1)] * -chunks], dim=1), uncond
