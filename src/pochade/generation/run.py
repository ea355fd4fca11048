"""A resolved request on its way: noise or a picture becomes latents, in one pass or two, and these a picture."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from torch import Tensor, nn

from pochade.errors import NumericalError
from pochade.events import Event, Made, Preview, Step, Warned
from pochade.generation.conditioning import Scene, teller
from pochade.generation.controlnet.control import Control
from pochade.generation.controlnet.steering import Steering
from pochade.generation.hires import SecondPass
from pochade.generation.model import Model
from pochade.generation.passes import Pass, Start
from pochade.generation.picture import Picture
from pochade.generation.pictures.canvas import Canvas
from pochade.generation.pictures.pixels import image_of
from pochade.generation.request import Request
from pochade.generation.start import Beginning
from pochade.sampling import ImageNoise, Seeds


class Drawn(NamedTuple):
    """A batch of latents [B, 4, h, w], and the model that drew them last."""

    latents: Tensor
    model: Model


@dataclass(frozen=True, eq=False)
class Run:
    """What a resolved request begins with, what steers it, and its passes."""

    beginning: Beginning
    steering: Steering
    first: Pass
    second: SecondPass | None = None

    @property
    def request(self) -> Request:
        """What to draw."""
        return self.beginning.request

    def events(self) -> Iterator[Event]:
        """Draw every picture: a Step and a Preview per sampling step, Made with each finished Picture."""
        request = self.request
        yield from map(Warned, self.beginning.notes())
        with self.beginning.model.tiled(request.tiling, self._others()):
            for start in range(0, request.count, request.batch):
                yield from self._batch(range(start, min(start + request.batch, request.count)))

    def _others(self) -> list[nn.Module]:
        """Every network that draws beside the model's own."""
        models = [*self.first.models, *(self.second.drawing.models if self.second else ())]
        others = [model.networks for model in models if model is not self.beginning.model]
        beside = [network for networks in others for network in (networks.unet, networks.vae)]
        return beside + [each.network for each in self.steering.networks]

    def _batch(self, indices: range) -> Iterator[Event]:
        seeds = _seeds(self.request, indices)
        size, canvas = self.beginning.size, self.beginning.canvas(indices.start)
        start = replace(self.beginning.start(indices, seeds), controls=self._controls(size, canvas))
        drawn = yield from self._sample(self.first, start, seeds, size, indices.start)
        if self.second:
            drawn = yield from self._again(self.second, drawn, seeds, indices)
        for place, (index, latent) in enumerate(zip(indices, drawn.latents, strict=True)):
            image = self.steering.finished(image_of(drawn.model.decode(latent)), canvas)
            image = self.beginning.finished(image, latent, start, index, place)
            yield from self.beginning.model.memory.notes.untold()
            facts = replace(self.beginning.facts(index), embedding_hashes=self.first.voice.text.embedding_hashes)
            yield Made(Picture.made(image, self.request, index, self.beginning.inputs, facts))

    def _again(self, second: SecondPass, drawn: Drawn, seeds: Seeds, indices: range) -> Generator[Event, None, Drawn]:
        """The latents enlarged and drawn over."""
        larger = yield from second.enlarge(drawn.latents, drawn.model)
        size = (larger.latents.shape[2], larger.latents.shape[3])
        scene = Scene(size, seeds, larger.pictures, depths=self.beginning.depths(indices))
        tell = teller(self.beginning.model, self.request, scene)
        start = Start(larger.latents, tell=tell, controls=self._controls(size, None, second=True))
        return (yield from self._sample(second.drawing, start, seeds, size, indices.start))

    def _controls(self, size: tuple[int, int], canvas: Canvas | None, second: bool = False) -> tuple[Control, ...]:
        """What steers a pass over latents of this height and width."""
        cell = self.beginning.model.cell
        return self.steering.controls((size[1] * cell, size[0] * cell), canvas, second)

    def _sample(
        self, drawing: Pass, start: Start, seeds: Seeds, size: tuple[int, int], index: int
    ) -> Generator[Event, None, Drawn]:
        model = self.beginning.model
        noise = ImageNoise((model.family.latent_channels, *size), seeds, model.device)
        painter, (before, total) = drawing.painter(noise, start), self._steps(drawing, index)
        stage = None
        for done, stage in enumerate(painter.stages(), 1):
            yield Step(before + min(done, drawing.plan.stages), total)
            yield Preview(stage.denoised)
            yield from model.memory.notes.untold()
        assert stage is not None  # there is at least one stage
        if not stage.latents.isfinite().all():
            raise NumericalError(_no_picture(self.request))
        return Drawn(stage.latents, painter.model)

    def _steps(self, drawing: Pass, index: int) -> tuple[int, int]:
        """How many steps went before this pass of the batch that begins with picture `index`, and all there are."""
        first, second = self.first.plan.stages, self.second.drawing.plan.stages if self.second else 0
        batch, batches = index // self.request.batch, -(-self.request.count // self.request.batch)
        return batch * (first + second) + (0 if drawing is self.first else first), batches * (first + second)


def _seeds(request: Request, indices: range) -> Seeds:
    return Seeds(
        seeds=tuple(request.seed_of(index) for index in indices),
        source=request.rng,
        subseeds=tuple(request.variation_seed_of(index) for index in indices),
        strength=request.variation_strength,
        resize_from=request.seed_resize_from,
        eta_delta=request.ensd,
    )


def _no_picture(request: Request) -> str:
    advice = "draw with --dtype fp32" if request.dtype != "fp32" else "lower cfg, or run `pochade inspect` on the model"
    return f"The model gave NaN or infinity instead of a picture; {advice}."
