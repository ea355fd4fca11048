"""Classifier-free guidance: asks the model with and without the prompt, and goes further in the prompt's direction.

Ho & Salimans, "Classifier-free diffusion guidance" (2022). Works on raw model outputs, whatever they predict.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

Predict: TypeAlias = Callable[[Tensor, Tensor, Tensor], Tensor]
"""The network: (latents [N,C,h,w], timesteps [N] float, context [N,T,D]) -> its raw output [N,C,h,w]."""


@dataclass(frozen=True, eq=False)
class StepText:
    """The encoded prompts of one model call for a batch of B images.

    `parts` [N,T,D] are the conditionals of all images one after the other (more than one per image when prompts are
    composed with AND), `owners` the image each belongs to, `weights` their factors, `uncond` [B,U,D] the negatives.
    """

    parts: Tensor
    owners: tuple[int, ...]
    weights: tuple[float, ...]
    uncond: Tensor


Text: TypeAlias = Callable[[int], StepText]
"""The text at the n-th model call of a run, counted from 0."""


@dataclass(frozen=True, kw_only=True)
class GuidanceRules:
    """How strongly to guide, and when to save the unconditional half.

    `min_uncond` (NGMS) skips it on every second call, or on `all_steps`, while the noise is below that sigma;
    `skip_early` skips it during that first share of the run.
    """

    scale: float = 7.0
    min_uncond: float = 0.0
    all_steps: bool = False
    skip_early: float = 0.0

    def skip(self, call: int, total: int, level: Tensor) -> bool:
        """Whether call number `call` of about `total` does without the unconditional part."""
        if self.skip_early and call / total <= self.skip_early:
            return True
        return bool((call % 2 or self.all_steps) and self.min_uncond > 0 and level < self.min_uncond)


class Guided(NamedTuple):
    """Model outputs [B,C,h,w] after guidance, and those of the unconditional part alone."""

    output: Tensor
    uncond: Tensor


class Guide:
    """Calls the network for both halves and combines them. Remembers only how many calls went before."""

    def __init__(
        self, predict: Predict, text: Text, rules: GuidanceRules, total: int, needs_uncond: bool = False
    ) -> None:
        self.predict = predict
        self.text = text
        self.rules = rules
        self.total = max(total, 1)
        self.needs_uncond = needs_uncond
        self.calls = 0

    def __call__(self, x: Tensor, timestep: Tensor, level: Tensor) -> Guided:
        """Guided output for latents as the network wants them; `level` is what NGMS compares (sigma or timestep)."""
        text = self.text(self.calls)
        skip = self.rules.skip(self.calls, self.total, level)
        self.calls += 1
        alone = skip or self._uncond_is_idle(text)
        outputs = self._outputs(x, timestep, text, alone)
        parts = outputs[: len(text.owners)]
        uncond = _first_parts(parts, text, len(x)) if alone else outputs[len(text.owners) :]
        return Guided(combine(parts, uncond, text, 1.0 if skip else self.rules.scale), uncond)

    def _uncond_is_idle(self, text: StepText) -> bool:
        """At scale 1 a single part of weight 1 cancels the unconditional one, so it need not be computed."""
        plain = len(text.owners) == len(text.uncond) and all(weight == 1.0 for weight in text.weights)
        return plain and self.rules.scale == 1.0 and not self.needs_uncond

    def _outputs(self, x: Tensor, timestep: Tensor, text: StepText, alone: bool) -> Tensor:
        """Raw outputs: parts first, then the unconditional ones; different text lengths need separate calls."""
        rows = x if text.owners == tuple(range(len(x))) else torch.stack([x[owner] for owner in text.owners])
        if alone:
            return self._ask(rows, timestep, text.parts)
        if text.parts.shape[1] == text.uncond.shape[1]:
            return self._ask(torch.cat([rows, x]), timestep, torch.cat([text.parts, text.uncond]))
        return torch.cat([self._ask(rows, timestep, text.parts), self._ask(x, timestep, text.uncond)])

    def _ask(self, x: Tensor, timestep: Tensor, context: Tensor) -> Tensor:
        with torch.no_grad():
            return self.predict(x, x.new_full((len(x),), float(timestep)), context)


def _first_parts(parts: Tensor, text: StepText, images: int) -> Tensor:
    """Each image's first conditional output, which stands in where the unconditional one was skipped."""
    if text.owners == tuple(range(images)):
        return parts
    return torch.stack([parts[text.owners.index(image)] for image in range(images)])


def combine(parts: Tensor, uncond: Tensor, text: StepText, scale: float) -> Tensor:
    """uncond + sum over the parts of weight * scale * (part - uncond); weights are not normalised."""
    result = uncond.clone()
    for part, owner, weight in zip(parts, text.owners, text.weights, strict=True):
        result[owner] += (part - uncond[owner]) * (weight * scale)
    return result
