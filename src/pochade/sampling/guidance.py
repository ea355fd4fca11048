"""Classifier-free guidance: asks the model with and without the prompt, and goes further in the prompt's direction.

Ho & Salimans, "Classifier-free diffusion guidance" (2022). Works on raw model outputs, whatever they predict. Models
that edit a picture are guided in two directions, the prompt's and the picture's (Brooks et al., "InstructPix2Pix",
2023).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Conditions:
    """What the network is told beside N latents and their timesteps.

    `context` [N,T,D] is the text; `classes` [N,A], or numbers [N], what some models know beside it; `picture`
    [N,C,h,w] are further channels of the latents. `prompted` tells the rows with the prompt from those without;
    `progress` is the share of the run's calls that went before.
    """

    context: Tensor
    classes: Tensor | None = None
    picture: Tensor | None = None
    prompted: tuple[bool, ...] = ()
    progress: float = 0.0

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.context)

    def rows(self, indices: Sequence[int]) -> "Conditions":
        """Take some rows, in this order."""
        picked = list(indices)
        return Conditions(
            self.context[picked],
            None if self.classes is None else self.classes[picked],
            None if self.picture is None else self.picture[picked],
            tuple(self.prompted[index] for index in picked) if self.prompted else (),
        )

    @classmethod
    def joined(cls, every: Sequence["Conditions"]) -> "Conditions":
        """Put rows under one another; all have the same length of text and the same parts."""
        return cls(
            torch.cat([each.context for each in every]),
            _joined([each.classes for each in every]),
            _joined([each.picture for each in every]),
            tuple(mark for each in every for mark in each.prompted),
        )


Predict: TypeAlias = Callable[[Tensor, Tensor, Conditions], Tensor]
"""The network: (latents [N,C,h,w], timesteps [N] float, conditions of N rows) -> its raw output [N,C,h,w]."""


@dataclass(frozen=True, eq=False)
class StepText:
    """The encoded prompts of one model call for a batch of B images.

    `parts` (N rows) are the conditionals of all images one after the other (more than one per image when prompts are
    composed with AND), `owners` the image each belongs to, `weights` their factors, `uncond` (B rows) the negatives.
    `bare` (B rows) are the negatives without the picture, for models that are guided by a picture too.
    """

    parts: Conditions
    owners: tuple[int, ...]
    weights: tuple[float, ...]
    uncond: Conditions
    bare: Conditions | None = None

    @property
    def is_plain(self) -> bool:
        """Whether each image has one part."""
        return self.owners == tuple(range(len(self.uncond)))


Text: TypeAlias = Callable[[int, Tensor], StepText]
"""The text at the n-th model call of a run, counted from 0, which is at this timestep (0-d)."""


@dataclass(frozen=True, kw_only=True)
class GuidanceRules:
    """How strongly to guide, and when to save the unconditional half.

    `picture_scale` is the strength of the picture's own direction, where there is one. `min_uncond` (NGMS) skips the
    unconditional half on every second call, or on `all_steps`, while the noise is below that sigma; `skip_early` skips
    it during that first share of the run.
    """

    scale: float = 7.0
    picture_scale: float = 1.0
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
        text = self.text(self.calls, timestep)
        if text.bare is not None:
            guided = self._by_picture(x, timestep, text, text.bare)
        else:
            guided = self._by_prompt(x, timestep, text, self.rules.skip(self.calls, self.total, level))
        self.calls += 1
        return guided

    def _by_prompt(self, x: Tensor, timestep: Tensor, text: StepText, skip: bool) -> Guided:
        """Guided by the prompt; without the unconditional part where that is to be skipped, or cancels out."""
        alone = skip or self._uncond_is_idle(text)
        outputs = self._outputs(x, timestep, text, alone)
        parts = outputs[: len(text.owners)]
        uncond = _first_parts(parts, text) if alone else outputs[len(text.owners) :]
        return Guided(combine(parts, uncond, text, 1.0 if skip else self.rules.scale), uncond)

    def _uncond_is_idle(self, text: StepText) -> bool:
        """At scale 1 a single part of weight 1 cancels the unconditional one, so it need not be computed."""
        plain = text.is_plain and all(weight == 1.0 for weight in text.weights)
        return plain and self.rules.scale == 1.0 and not self.needs_uncond

    def _by_picture(self, x: Tensor, timestep: Tensor, text: StepText, bare: Conditions) -> Guided:
        """Guided by prompt and picture. Only the first part of each image counts: such models know no AND."""
        firsts = [text.owners.index(image) for image in range(len(x))]
        asked = [(x, text.parts.rows(firsts)), (x, text.uncond), (x, bare)]
        full, pictured, plain = self._ask_all(asked, timestep)
        towards_picture = self.rules.picture_scale * (pictured - plain)
        return Guided(plain + self.rules.scale * (full - pictured) + towards_picture, plain)

    def _outputs(self, x: Tensor, timestep: Tensor, text: StepText, alone: bool) -> Tensor:
        """Raw outputs: parts first, then the unconditional ones."""
        rows = x if text.is_plain else torch.stack([x[owner] for owner in text.owners])
        asked = [(rows, text.parts)] if alone else [(rows, text.parts), (x, text.uncond)]
        return torch.cat(self._ask_all(asked, timestep))

    def _ask_all(self, asked: Sequence[tuple[Tensor, Conditions]], timestep: Tensor) -> list[Tensor]:
        """The outputs for several groups of rows: in one call where their texts are of one length."""
        if len({conditions.context.shape[1] for _, conditions in asked}) > 1:
            return [self._ask(rows, timestep, conditions) for rows, conditions in asked]
        rows = torch.cat([rows for rows, _ in asked])
        together = self._ask(rows, timestep, Conditions.joined([conditions for _, conditions in asked]))
        return list(torch.split(together, [len(rows) for rows, _ in asked]))

    def _ask(self, x: Tensor, timestep: Tensor, conditions: Conditions) -> Tensor:
        with torch.no_grad():
            told = replace(conditions, progress=self.calls / self.total)
            return self.predict(x, x.new_full((len(x),), float(timestep)), told)


def _first_parts(parts: Tensor, text: StepText) -> Tensor:
    """Each image's first conditional output, which stands in where the unconditional one was skipped."""
    if text.is_plain:
        return parts
    return torch.stack([parts[text.owners.index(image)] for image in range(len(text.uncond))])


def _joined(tensors: Sequence[Tensor | None]) -> Tensor | None:
    given = [each for each in tensors if each is not None]
    return torch.cat(given) if given else None


def combine(parts: Tensor, uncond: Tensor, text: StepText, scale: float) -> Tensor:
    """uncond + sum over the parts of weight * scale * (part - uncond); weights are not normalised."""
    result = uncond.clone()
    for part, owner, weight in zip(parts, text.owners, text.weights, strict=True):
        result[owner] += (part - uncond[owner]) * (weight * scale)
    return result


def with_picture(text: StepText, picture: Tensor, guided: bool = False) -> StepText:
    """The same text beside further channels [B,C,h,w] of the latents; `guided` tells that the picture guides too."""
    parts = replace(text.parts, picture=picture[list(text.owners)])
    uncond = replace(text.uncond, picture=picture)
    bare = replace(text.uncond, picture=torch.zeros_like(picture)) if guided else None
    return replace(text, parts=parts, uncond=uncond, bare=bare)


def with_classes(text: StepText, classes: Tensor, without: Tensor) -> StepText:
    """The same text beside classes [B,A] (or [B]) for each image, and those for the half without the prompt."""
    parts = replace(text.parts, classes=classes[list(text.owners)])
    return replace(text, parts=parts, uncond=replace(text.uncond, classes=without))
