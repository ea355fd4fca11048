"""A Request becomes events: text, noise, sampling, decoding; every picture leaves with the Request that made it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, cast

from PIL import Image

from pochade.errors import UsageError
from pochade.events import Event, Made, Warned
from pochade.generation.controlnet.steering import Steering, load_beside, resolved_controls
from pochade.generation.hints import hints_about
from pochade.generation.hires import LATENT_MODES, SecondPass
from pochade.generation.locating import located_controls
from pochade.generation.model import Model
from pochade.generation.outpainting import check_outpainting, is_outpainting, outpainting
from pochade.generation.passes import Pass, Refiner, Voice
from pochade.generation.picture import Picture
from pochade.generation.pictures.input_picture import as_rgb
from pochade.generation.pictures.inputs import Inputs
from pochade.generation.pictures.sizes import Enlarged, enlarged, fitting, upscaled
from pochade.generation.pictures.upscalers import Upscaler, upscaler_named
from pochade.generation.request import Request
from pochade.generation.run import Run
from pochade.generation.start import Beginning
from pochade.generation.text import check_clip_skip
from pochade.generation.voices import Voices, unknown_tags
from pochade.library.vae_choice import AUTO, OWN, vae_for
from pochade.prompts import comments
from pochade.sampling import Choice, NoiseTable, Plan, SamplingOptions, choose, make_plan, picture_plan

STEPS = 20
SAMPLER = "DPM++ 2M"
_CONTROLNETS_KEPT = 4  # loaded for the next request

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

    def __init__(self, model: Model, folders: Sequence[Path] = ()) -> None:
        self.model = model
        self.folders = tuple(folders)
        self._voices = Voices(self.folders)
        self._second_model = lru_cache(maxsize=1)(self._load_beside)
        self._controlnet = lru_cache(maxsize=_CONTROLNETS_KEPT)(partial(load_beside, model))

    @classmethod
    def load(
        cls,
        path: Path | str | None = None,
        vae: Path | str | None = AUTO,
        device: str = "auto",
        dtype: str = "auto",
        memory: float = 0.0,
        folders: Sequence[Path] = (),
    ) -> "Pipeline":
        """Load a checkpoint (the shipped model without `path`), with the VAE that lies beside it, or another one.

        A `vae` of None is the model's own. Of the device, `memory` gigabytes may be taken; 0 is all that is free.
        In `folders` of models lies what requests name: LoRAs, embeddings, hypernetworks, ControlNets.
        Raises FileError where a file cannot be used, UsageError for a device or dtype that this machine lacks.
        """
        model = Path(path) if path else None
        return cls(
            Model.load(model, vae_for(model, OWN if vae is None else str(vae)), device, dtype, memory or None), folders
        )

    def txt2img(self, prompt: str, **settings: Any) -> Picture | list[Picture]:
        """Draw; `settings` are a Request's fields. One Picture, or a list when `count` asks for several."""
        return _pictures(self.run(Request(prompt, **settings)))

    def img2img(
        self,
        prompt: str,
        image: Image.Image | Path | str,
        mask: Image.Image | Path | str | None = None,
        *,
        depth: Image.Image | Path | str | None = None,
        **settings: Any,
    ) -> Picture | list[Picture]:
        """Draw over a picture, or over the white part of its mask; else as `txt2img`. Depth models take a depth map."""
        if not isinstance(image, Image.Image) and not str(image or ""):
            raise UsageError("There is no picture to draw over; give an image or its path.")
        given = {"image": image, "mask": mask, "depth": depth}
        settings |= {name: _path(each) for name, each in given.items()}
        request = Request(prompt, **settings)
        held = {name: as_rgb(each) for name, each in given.items() if isinstance(each, Image.Image)}
        opened = Inputs.of(request).named()
        return _pictures(self.run(request, Inputs.of_named(opened | held)))

    def outpaint(
        self,
        prompt: str,
        image: Image.Image | Path | str,
        *,
        left: int = 0,
        right: int = 0,
        up: int = 0,
        down: int = 0,
        **settings: Any,
    ) -> Picture | list[Picture]:
        """Let a picture grow by so many pixels on its sides; else as `img2img`."""
        if not any((left, right, up, down)):
            raise UsageError("The picture would not grow; give pixels for left, right, up or down.")
        return self.img2img(prompt, image, **settings, left=left, right=right, up=up, down=down)

    def resolve(self, request: Request, inputs: Inputs | None = None) -> Request:
        """The request with every open choice decided: what a picture carries. Raises UsageError when it cannot work."""
        inputs = inputs or Inputs()
        request = request.validate().with_seeds()
        request = replace(request, controls=located_controls(request.controls, self.folders))
        _check_inputs(request, inputs)
        if is_outpainting(request):
            check_outpainting(inputs, self.model.variant)
        choice = choose(request.sampler or SAMPLER, request.schedule)
        prediction = self.model.prediction if request.prediction == "auto" else request.prediction
        resolution = self.model.resolution_for(prediction)
        width, height = resolution if is_outpainting(request) else self._size(inputs, resolution)
        width, height = request.width or width, request.height or height
        check_clip_skip(request, self.model.networks.text_encoders, self.model.family)
        hashes = inputs.hashes()
        return replace(
            _with_second_sampler(request, choice),
            image_hash=hashes["image"],
            mask_hash=hashes["mask"],
            depth_hash=hashes["depth"],
            prompt=comments.strip(request.prompt),
            negative_prompt=comments.strip(request.negative_prompt),
            hires_prompt=comments.strip(request.hires_prompt),
            hires_negative_prompt=comments.strip(request.hires_negative_prompt),
            model="" if self.model.is_shipped else str(self.model.path),
            model_hash=self.model.hash,
            vae=str(self.model.vae_path or ("" if self.model.is_shipped else OWN)),
            vae_hash=self.model.vae_hash,
            **self._voices.resolved(request),
            controls=resolved_controls(request, inputs, self._controlnet),
            refiner_hash=self._second_model(request.refiner).hash if request.refiner else "",
            steps=request.steps or STEPS,
            sampler=choice.sampler.label,
            schedule=choice.effective.label,
            width=width,
            height=height,
            vae_tile=self._tile(replace(request, width=width, height=height)),
            clip_skip=request.clip_skip or 1,
            crop=request.crop or (0, 0),
            prediction=prediction,
            device=self.model.device.type,
            dtype=self.model.dtype,
        )

    def run(self, request: Request, inputs: Inputs | None = None) -> Iterator[Event]:
        """Draw all pictures of a request: a Step and a Preview per sampling step, Made with each finished Picture.

        `inputs` are pictures in memory, in place of those that the request names by path.
        """
        inputs = inputs or Inputs.of(request)
        yield from map(Warned, inputs.notes)
        self.model.memory.stay_within(request.memory or None)
        request = self.resolve(request, inputs)
        if is_outpainting(request):
            yield from outpainting(self.run, request, inputs)
            return
        self.model.memory.begin(request.vae_tile or 0)
        yield from map(Warned, unknown_tags(request.prompt))
        larger = enlarged(request)
        first = self._first_pass(request, bool(inputs.images), larger)
        second = self._second_pass(request, larger) if larger else None
        for sentence in hints_about(request, first.voice):
            self.model.memory.notes.add(sentence)
        yield from self.model.memory.notes.untold()
        networks = tuple(self._controlnet(unit.model, unit.low_vram) for unit in request.controls)
        steering = Steering(self.model, request, inputs, networks)
        yield from Run(Beginning(self.model, request, inputs), steering, first, second).events()

    def _tile(self, request: Request) -> int:
        """The side of the tiles on which the VAE works; 0 where its pictures are not cut."""
        if request.vae_tile is not None:
            return request.vae_tile
        assert request.width is not None and request.height is not None
        larger = enlarged(request)
        return self.model.autoencoder.tile_for(*(larger.size if larger else (request.width, request.height)))

    def _table(self, request: Request) -> NoiseTable:
        """The model's noise table, and what the request says that it predicts."""
        return replace(self.model.table, prediction=request.prediction)

    def _size(self, inputs: Inputs, resolution: tuple[int, int]) -> tuple[int, int]:
        """Width and height when none are given, of a model that was trained for this resolution."""
        if not inputs.images:
            return resolution
        size = inputs.images[0].size
        if self.model.variant.noises_picture:
            return upscaled(size, self.model.cell)
        return fitting(size, resolution)

    def _first_pass(self, request: Request, has_picture: bool, second: Enlarged | None) -> Pass:
        options, table = sampling_options(request), self._table(request)
        if has_picture and not self.model.variant.noises_picture:
            plan = picture_plan(options, table, request.strength, request.exact_steps)
        else:
            plan = make_plan(options, table)
        calls = plan.sampler.calls(options.steps)
        refines = second is None or request.refiner_pass != "second pass"
        return self._pass(request, plan, partial(self._voices.voice, request, calls), refines)

    def _second_pass(self, request: Request, larger: Enlarged) -> SecondPass:
        """The second pass, with its own prompts, steps and sampler where it has them."""
        before = choose(request.sampler or SAMPLER, request.schedule).sampler.calls(request.steps or STEPS)
        request = replace(
            request,
            prompt=request.hires_prompt or request.prompt,
            negative_prompt=request.hires_negative_prompt or request.negative_prompt,
            steps=request.hires_steps or request.steps,
            sampler=request.hires_sampler or request.sampler,
            schedule=request.hires_schedule or request.schedule,
            width=larger.size[0],
            height=larger.size[1],
        )
        options = sampling_options(request)
        plan = picture_plan(options, self._table(request), request.strength, exact=True)
        voice = partial(self._voices.voice, request, plan.sampler.calls(options.steps), before)
        drawing = self._pass(request, plan, voice, request.refiner_pass != "first pass")
        upscaler = self._upscaler(request.hires_upscaler)
        return SecondPass(larger, upscaler, drawing, shows_picture=request.mask_weight < 1)

    def _upscaler(self, name: str) -> Upscaler | str:
        latent = next((mode for mode in LATENT_MODES if mode.casefold() == name.casefold()), None)
        return latent or upscaler_named(name, self.model.device.type)

    def _pass(self, request: Request, plan: Plan, voice: Callable[..., Voice], refines: bool) -> Pass:
        if not request.refiner or not refines:
            return Pass(plan, voice(model=self.model))
        other = voice(model=self._second_model(request.refiner))
        refiner = Refiner(other, request.refiner_switch_at, request.refiner_by_steps)
        return Pass(plan, voice(model=self.model), refiner)

    def _load_beside(self, path: str) -> Model:
        """A second model, for latents of the first one's kind."""
        here = self.model
        other = Model.load(Path(path), here.vae_path, here.device.type, here.dtype, here.memory)
        if other.latent_scale != self.model.latent_scale:
            raise UsageError(
                f"{other.path.name} is a {other.family.title} model and {self.model.path.name} a "
                f"{self.model.family.title} one; a refiner must be of the same kind."
            )
        if other.variant.name not in ("base", self.model.variant.name):
            raise UsageError(f"{other.path.name} is made for {other.variant.name} alone; it can refine no other model.")
        return other


def _with_second_sampler(request: Request, choice: Choice) -> Request:
    """The request with sampler and schedule of the second pass decided, if there is one.

    Without a schedule of its own it follows what was asked for the first pass, not what that pass made of it.
    """
    if not request.draws_twice:
        return request
    schedule = request.hires_schedule or choice.collapsed.schedule.label
    own = choose(request.hires_sampler or choice.sampler.label, schedule)
    sampler = own.sampler.label if request.hires_sampler else None
    return replace(request, hires_sampler=sampler, hires_schedule=own.effective.label)


def _check_inputs(request: Request, inputs: Inputs) -> None:
    if inputs.mask and not inputs.images:
        raise UsageError("There is a mask but no picture that it belongs to; give the picture too (--image FILE).")
    if inputs.images and request.draws_twice:
        raise UsageError("A second pass (hires) is for pictures from nothing; with a picture, give a larger size.")
    if request.image and not inputs.images:
        raise UsageError(f"The picture to begin with, {request.image}, is missing; give it (--image FILE).")


def _path(picture: Image.Image | Path | str | None) -> str:
    """Where a picture is; empty for one in memory, or none."""
    return str(picture) if isinstance(picture, Path | str) else ""


def _pictures(events: Iterator[Event]) -> Picture | list[Picture]:
    pictures = [cast(Picture, event.result) for event in events if isinstance(event, Made)]
    return pictures[0] if len(pictures) == 1 else pictures


def sampling_options(request: Request) -> SamplingOptions:
    """What of a resolved request concerns sampling."""
    named = {_SAMPLING_NAMES.get(each.name, each.name): getattr(request, each.name) for each in fields(request)}
    return SamplingOptions(**{name: value for name, value in named.items() if name in _SAMPLING_FIELDS})
