"""A Request becomes events: text, noise, sampling, decoding; every picture leaves with the Request that made it."""

from collections.abc import Generator, Iterator
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from pochade.errors import NumericalError, UsageError
from pochade.events import Event, Made, Preview, Step, Warned
from pochade.generation.model import Model
from pochade.generation.picture import Picture
from pochade.generation.request import Request
from pochade.generation.text import PromptEncoder, RunText, TextRules
from pochade.prompts import Tokenizer, comments, extra_networks
from pochade.sampling import ImageNoise, Plan, SamplingOptions, Seeds, choose, make_plan, sample

STEPS = 20
SAMPLER = "DPM++ 2M"

# names of a Request's fields for what the sampling module calls otherwise
_SAMPLING_NAMES = {
    "cfg": "cfg_scale",
    "old_sigma_limits": "old_sigma_range",
    "discard_next_to_last": "discard_penultimate",
    "ngms": "min_uncond",
    "ngms_all": "min_uncond_all",
    "sde_batch_noise": "shared_brownian",
    "uni_pc_order": "unipc_order",
    "uni_pc_variant": "unipc_variant",
    "uni_pc_skip": "unipc_spacing",
    "uni_pc_lower_order_final": "unipc_lower_order_final",
}
_SAMPLING_FIELDS = {each.name for each in fields(SamplingOptions)}


class Pipeline:
    """Draws with one model.

    >>> Pipeline.load().txt2img("a red house, night sky", seed=7).save("house.png")  # doctest: +SKIP
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self._tokenizer = Tokenizer()

    @classmethod
    def load(
        cls, path: Path | str | None = None, vae: Path | str | None = None, device: str = "auto", dtype: str = "auto"
    ) -> "Pipeline":
        """Load a checkpoint (the shipped model without `path`), with another VAE if given.

        Raises FileError where a file cannot be used, UsageError for a device or dtype that this machine lacks.
        """
        return cls(Model.load(Path(path) if path else None, Path(vae) if vae else None, device, dtype))

    def txt2img(self, prompt: str, **settings: Any) -> Picture | list[Picture]:
        """Draw; `settings` are a Request's fields. One Picture, or a list when `count` asks for several."""
        events = self.run(Request(prompt, **settings))
        pictures = [cast(Picture, event.result) for event in events if isinstance(event, Made)]
        return pictures[0] if len(pictures) == 1 else pictures

    def resolve(self, request: Request) -> Request:
        """The request with every open choice decided: what a picture carries. Raises UsageError when it cannot work."""
        request = request.validate().with_seeds()
        choice = choose(request.sampler or SAMPLER, request.schedule)
        width, height = self.model.resolution
        depth = self.model.networks.text_encoder.depth
        if (request.clip_skip or 1) > depth:
            raise UsageError(f"clip_skip is {request.clip_skip}, but this model's text encoder has {depth} layers.")
        return replace(
            request,
            prompt=comments.strip(request.prompt),
            negative_prompt=comments.strip(request.negative_prompt),
            model="" if self.model.is_shipped else str(self.model.path),
            model_hash=self.model.hash,
            vae=str(self.model.vae_path or ""),
            vae_hash=self.model.vae_hash,
            steps=request.steps or STEPS,
            sampler=choice.sampler.label,
            schedule=choice.effective.label,
            width=request.width or width,
            height=request.height or height,
            clip_skip=request.clip_skip or 1,
            device=self.model.device.type,
            dtype=self.model.dtype,
        )

    def run(self, request: Request) -> Iterator[Event]:
        """Draw all pictures of a request: a Step and a Preview per sampling step, Made with each finished Picture."""
        request = self.resolve(request)
        prompt, tags = extra_networks.extract(request.prompt)
        for tag in tags:
            yield Warned(f"<{tag.kind}:{':'.join(tag.items)}> names a network that is not here; it has no effect.")
        plan = make_plan(sampling_options(request), self.model.table)
        encoder = PromptEncoder(self.model.networks.text_encoder, self._tokenizer, TextRules.of(request))
        text = RunText(encoder, prompt, request.negative_prompt, plan.calls)
        with self.model.tiled(request.tiling):
            for first in range(0, request.count, request.batch):
                indices = range(first, min(first + request.batch, request.count))
                latents = yield from self._sample(request, plan, text, indices)
                for index, latent in zip(indices, latents, strict=True):
                    yield Made(Picture.made(_image(self.model.decode(latent)), request, index))

    def _sample(self, request: Request, plan: Plan, text: RunText, indices: range) -> Generator[Event, None, Tensor]:
        """One batch of latents [B, 4, h, w]."""
        text_at = partial(text.at, images=len(indices))
        batches = -(-request.count // request.batch)
        before = indices.start // request.batch * plan.stages
        stage = None
        for done, stage in enumerate(sample(plan, self.model.predict, text_at, self._noise(request, indices)), 1):
            yield Step(before + min(done, plan.stages), plan.stages * batches)
            yield Preview(stage.denoised)
        assert stage is not None  # there is at least one stage
        if not stage.latents.isfinite().all():
            raise NumericalError(_no_picture(request))
        return stage.latents

    def _noise(self, request: Request, indices: range) -> ImageNoise:
        cell = self.model.family.downscale
        assert request.width is not None and request.height is not None
        seeds = Seeds(
            seeds=tuple(request.seed_of(index) for index in indices),
            source=request.rng,
            subseeds=tuple(request.variation_seed_of(index) for index in indices),
            strength=request.variation_strength,
            resize_from=request.seed_resize_from,
            eta_delta=request.ensd,
        )
        shape = (self.model.family.latent_channels, request.height // cell, request.width // cell)
        return ImageNoise(shape, seeds, self.model.device)


def sampling_options(request: Request) -> SamplingOptions:
    """What of a resolved request concerns sampling."""
    named = {_SAMPLING_NAMES.get(each.name, each.name): getattr(request, each.name) for each in fields(request)}
    return SamplingOptions(**{name: value for name, value in named.items() if name in _SAMPLING_FIELDS})


def _image(picture: Tensor) -> Image.Image:
    """[3, H, W] in 0..1 to 8 bits; cut off, not rounded, as A1111 does."""
    pixels = (picture * 255).permute(1, 2, 0).to("cpu", torch.uint8).numpy()
    return Image.fromarray(np.ascontiguousarray(pixels))


def _no_picture(request: Request) -> str:
    advice = "draw with --dtype fp32" if request.dtype != "fp32" else "lower cfg, or run `pochade inspect` on the model"
    return f"The model gave NaN or infinity instead of a picture; {advice}."
