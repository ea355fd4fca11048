"""One run of a sampler over a batch: with one model, or with a second one that takes over towards the end."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from torch import Tensor

from pochade.generation.controlnet.control import Control
from pochade.generation.extra_networks.loras import Worn
from pochade.generation.model import Model
from pochade.generation.text import RunText
from pochade.networks.hypernetwork import Applied
from pochade.sampling import Conditions, ImageNoise, Kept, Plan, Stage, StepText, sample
from pochade.sampling.denoiser import translated

_LAST_TIMESTEP = 999

Tell = Callable[[StepText], StepText]
"""Puts beside the text what else a model wants to know."""


def _nothing(text: StepText) -> StepText:
    return text


@dataclass(frozen=True, eq=False)
class Start:
    """What a batch begins with: clean latents [B,C,h,w], what of them is kept, what stands beside the text.

    `controls` steer the first model, and a refiner of its family.
    """

    picture: Tensor | None = None
    kept: Kept | None = None
    tell: Tell = _nothing
    controls: tuple[Control, ...] = ()


@dataclass(frozen=True, eq=False)
class Voice:
    """A model with its LoRAs, the text as its encoders understand it, and hypernetworks, by which its UNet heeds it."""

    model: Model
    text: RunText
    loras: Worn
    hypernetworks: tuple[Applied, ...] = ()


@dataclass(frozen=True, eq=False)
class Refiner:
    """The model that takes over, when `switch_at` of the run is done: of its noise, or of its steps."""

    voice: Voice
    switch_at: float
    by_steps: bool


@dataclass(frozen=True, eq=False)
class Pass:
    """A plan, who draws by it, and who takes over."""

    plan: Plan
    voice: Voice
    refiner: Refiner | None = None

    @property
    def models(self) -> tuple[Model, ...]:
        """All that draw."""
        return (self.voice.model, self.refiner.voice.model) if self.refiner else (self.voice.model,)

    def painter(self, noise: ImageNoise, start: Start) -> "Painter":
        """Who draws one batch by this plan."""
        return Painter(self, noise, start)


class Painter:
    """Draws one batch, each call by the model whose turn it is. Once the refiner has taken over it keeps the turn."""

    def __init__(self, drawing: Pass, noise: ImageNoise, start: Start) -> None:
        self._drawing = drawing
        self._noise = noise
        self._start = start
        self._voice = drawing.voice

    @property
    def model(self) -> Model:
        """The model whose turn it is, or was last: its VAE decodes, as in A1111."""
        return self._voice.model

    def stages(self) -> Iterator[Stage]:
        """Draw; the latents of the last stage are the result, with all that is kept."""
        start = self._start
        for stage in sample(self._drawing.plan, self._predict, self._text, self._noise, start.picture, start.kept):
            yield stage if start.kept is None else Stage(start.kept.finish(stage.latents), stage.denoised)

    def _text(self, call: int, timestep: Tensor) -> StepText:
        """The text at a model call, in the words of the model that is asked."""
        refiner = self._drawing.refiner
        if refiner and _share(refiner, call / self._drawing.plan.calls, timestep) >= refiner.switch_at:
            self._voice = refiner.voice
        text = self._voice.text.at(call, len(self._noise.seeds.seeds))
        is_fit = self.model.variant.name == self._drawing.voice.model.variant.name
        return self._start.tell(text) if is_fit else text

    def _predict(self, latents: Tensor, timesteps: Tensor, conditions: Conditions) -> Tensor:
        is_fit = self.model.family is self._drawing.voice.model.family
        controls = self._start.controls if is_fit else ()
        self._voice.loras.put_on(conditions.progress, self._drawing.plan.stages)
        output = self.model.predict(latents, timesteps, conditions, controls, self._voice.hypernetworks)
        if self._voice is not self._drawing.voice:
            output = translated(latents, output, timesteps, self.model.table, self._drawing.plan.table)
        for control in controls:
            if control.fix and control.acts_at(conditions.progress):
                table = self._drawing.plan.table
                output = control.fix.fixed(output, latents, timesteps, conditions.prompted, table)
        return output


def _share(refiner: Refiner, progress: float, timestep: Tensor) -> float:
    """How much of the run is done, as the refiner counts."""
    return progress if refiner.by_steps else (_LAST_TIMESTEP - round(float(timestep))) / 1000
