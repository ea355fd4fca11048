"""Prompts become conditions: the vectors that the UNet sees at each of its calls, and what some models know beside."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import zip_longest

import torch
from torch import Tensor

from pochade.errors import UsageError
from pochade.families import Family
from pochade.generation.extra_networks.embeddings import Embedding
from pochade.generation.reading import Read, Reader
from pochade.generation.request import Request
from pochade.networks import TextNetwork
from pochade.networks.layers import sinusoid
from pochade.prompts import Emphasis, Tokenizer, composition, schedule
from pochade.sampling import Conditions, StepText

_NUMBER_WIDTH = 256  # of the waves as which SDXL is told a number


@dataclass(frozen=True)
class TextRules:
    """What of a Request decides how its prompts are read and encoded.

    `size` is width and height of the picture, `crop` what is missing at its left and top, `scores` how beautiful it
    should be with the prompt and without: some models are told so.
    """

    clip_skip: int = 1
    clip_l_skip: bool = False
    emphasis: Emphasis = Emphasis.ORIGINAL
    comma_backtrack: int = 20
    old_editing: bool = False
    pad: bool = False
    pad_or_cut: bool = False
    size: tuple[int, int] = (1024, 1024)
    crop: tuple[int, int] = (0, 0)
    scores: tuple[float, float] = (6.0, 2.5)

    @classmethod
    def of(cls, request: Request) -> "TextRules":
        """The rules that a resolved request asks for."""
        assert request.width is not None and request.height is not None
        return cls(
            clip_skip=request.clip_skip or 1,
            clip_l_skip=request.clip_l_skip,
            emphasis=Emphasis.named(request.emphasis),
            comma_backtrack=request.comma_backtrack,
            old_editing=request.old_prompt_editing,
            pad=request.pad_cond_uncond,
            pad_or_cut=request.pad_cond_uncond_v0,
            size=(request.width, request.height),
            crop=request.crop or (0, 0),
            scores=(request.aesthetic_score, request.negative_aesthetic_score),
        )

    def numbers(self, family: Family, negative: bool) -> list[float]:
        """What a model of this family is told in numbers; heights come before widths."""
        (width, height), (left, top) = self.size, self.crop
        known: dict[str, tuple[float, ...]] = {
            "size": (height, width),
            "crop": (top, left),
            "target": (height, width),
            "score": (self.scores[negative],),
        }
        return [number for part in family.told for number in known[part]]


@dataclass(frozen=True, eq=False)
class Encoded:
    """One text: its vectors [T, D], its classes [A] for models that know them, its embeddings window by window."""

    context: Tensor
    classes: Tensor | None = None
    embeddings: tuple[tuple[Embedding, ...], ...] = ()


@dataclass(frozen=True)
class Edited:
    """One prompt over a run: its schedule of (last call, text), and what became of every text."""

    entries: list[tuple[int, str]]
    encoded: dict[str, Encoded]

    @property
    def embeddings(self) -> list[Embedding]:
        """Those that its texts name, each once: in the first window of every text, then in the second, and so on."""
        windows = zip_longest(*(each.embeddings for each in self.encoded.values()), fillvalue=())
        return list(dict.fromkeys(each for texts in windows for window in texts for each in window))


@dataclass(frozen=True)
class PromptEncoder:
    """Encodes prompts with the text encoders of one family under one set of rules."""

    networks: tuple[TextNetwork, ...]
    family: Family
    tokenizer: Tokenizer
    rules: TextRules
    at_work: Callable[[TextNetwork], AbstractContextManager[None]] = field(default=lambda network: nullcontext())
    """Has a network ready within a context."""
    embeddings_in: Callable[[Sequence[str]], Mapping[str, Embedding]] = field(default=lambda texts: {})
    """Finds what texts name, by name."""

    def edited(self, text: str, calls: int, before: int | None = None, negative: bool = False) -> Edited:
        """A prompt without AND, over `calls` model calls; in a second pass `before` is how many the first one made."""
        first, second = (calls, None) if before is None else (before, calls)
        entries = schedule.schedule(text, first, second, self.rules.old_editing)
        texts = [text for _, text in entries]
        return Edited(entries, dict(zip(texts, self.encode(texts, negative), strict=True)))

    @cached_property
    def empty(self) -> Tensor:
        """The vectors of one empty chunk [77, D]."""
        return self.encode([""])[0].context

    @torch.no_grad()
    def encode(self, texts: Sequence[str], negative: bool = False) -> list[Encoded]:
        """The texts, the shorter filled up with empty windows; what several text encoders give stands side by side."""
        found = self.embeddings_in(texts)
        read = [
            self._read(reader, texts, {name: each.vectors[place] for name, each in found.items()})
            for place, reader in enumerate(self._readers)
        ]
        context = torch.cat([each.vectors for each in read], dim=-1)
        pooled = [each.pooled for each in read if each.pooled is not None]
        if negative and self.family.zero_negative and not any(texts):
            context, pooled = torch.zeros_like(context), [torch.zeros_like(each) for each in pooled]
        classes = self._classes(pooled, negative) if pooled else [None] * len(texts)
        named = [tuple(tuple(found[name] for name in window) for window in text) for text in read[0].named]
        return [Encoded(*each) for each in zip(context, classes, named, strict=True)]

    def _read(self, reader: Reader, texts: Sequence[str], embeddings: Mapping[str, Tensor]) -> Read:
        with self.at_work(reader.network):
            return reader.read(texts, embeddings)

    @cached_property
    def _readers(self) -> list[Reader]:
        rules = self.rules
        return [
            Reader(
                network,
                encoder,
                self.tokenizer,
                encoder.skip_for(rules.clip_skip, rules.clip_l_skip),
                rules.emphasis,
                rules.comma_backtrack,
            )
            for network, encoder in zip(self.networks, self.family.encoders, strict=True)
        ]

    def _classes(self, pooled: list[Tensor], negative: bool) -> Tensor:
        """Summaries [N, P] beside the numbers that the family's models are told, as waves: [N, A]."""
        summary = torch.cat(pooled, dim=-1)
        numbers = torch.tensor(self.rules.numbers(self.family, negative), device=summary.device)
        waves = sinusoid(numbers, _NUMBER_WIDTH).flatten()
        return torch.cat([summary, waves.expand(len(summary), -1)], dim=-1)


def check_clip_skip(request: Request, networks: Sequence[TextNetwork], family: Family) -> None:
    """Raise UsageError where a request's clip skip leaves no layer of a text encoder."""
    for network, encoder in zip(networks, family.encoders, strict=True):
        skip = encoder.skip_for(request.clip_skip or 1, request.clip_l_skip)
        if skip > network.depth:
            raise UsageError(f"clip_skip is {skip}, but this model's text encoder has {network.depth} layers.")


class RunText:
    """The encoded prompts of one pass, which all its batches share; see `PromptEncoder.edited`.

    `embeddings` are those of each part of the prompt, `negative_embeddings` those of the negative prompt.
    """

    def __init__(
        self, encoder: PromptEncoder, prompt: str, negative: str, calls: int, before: int | None = None
    ) -> None:
        parts = composition.split(prompt)
        read = {text: encoder.edited(text, calls, before) for text, _ in parts}
        self._encoder = encoder
        self._parts = [read[text] for text, _ in parts]
        self._weights = tuple(weight for _, weight in parts)
        self._negative = encoder.edited(negative, calls, before, negative=True)
        self.embeddings = [each.embeddings for each in read.values()]
        self.negative_embeddings = self._negative.embeddings
        self._assembled = lru_cache(maxsize=2)(self._assemble)

    def at(self, call: int, images: int) -> StepText:
        """The conditions of one model call for a batch of `images`; unchanged texts give the same object again."""
        texts = tuple(schedule.active(each.entries, call) for each in (*self._parts, self._negative))
        return self._assembled(texts, images)

    @property
    def embedding_hashes(self) -> str:
        """The embeddings with their hashes as A1111 lists them: each text encoder puts those of a text it reads first.

        It reads the negative prompt before the parts of the prompt.
        """
        read = [self.negative_embeddings, *self.embeddings]
        listed = [each.listed for text in reversed(read) for each in text * len(self._encoder.networks) if each.digest]
        return ", ".join(listed)

    def _assemble(self, texts: tuple[str, ...], count: int) -> StepText:
        encoded = [each.encoded[text] for each, text in zip((*self._parts, self._negative), texts, strict=True)]
        parts, uncond = _stacked([each.context for each in encoded[:-1]]), encoded[-1].context
        if self._encoder.rules.pad_or_cut:
            uncond = _stretched(uncond[: parts.shape[1]], parts.shape[1])
        elif self._encoder.rules.pad and len(uncond) != parts.shape[1]:
            parts, uncond = _padded(parts, uncond, self._encoder.empty)
        return StepText(
            parts=_repeated(parts, encoded[:-1], count, prompted=True),
            owners=tuple(image for image in range(count) for _ in self._weights),
            weights=self._weights * count,
            uncond=_repeated(uncond[None], encoded[-1:], count, prompted=False),
        )


def _repeated(contexts: Tensor, encoded: Sequence[Encoded], count: int, prompted: bool) -> Conditions:
    """The rows of one image [P, T, D], and their classes, `count` times."""
    classes = [each.classes for each in encoded if each.classes is not None]
    return Conditions(
        contexts.repeat(count, 1, 1),
        torch.stack(classes).repeat(count, 1) if classes else None,
        prompted=(prompted,) * len(contexts) * count,
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
