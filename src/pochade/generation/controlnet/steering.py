"""ControlNets of a request: loaded, shown their pictures, and made ready for each pass."""

import re
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
from PIL import Image, ImageFilter
from torch import Tensor

from pochade.errors import UsageError
from pochade.generation.controlnet.annotators import annotator_hash, networks_for
from pochade.generation.controlnet.colour_fix import ColourFix
from pochade.generation.controlnet.control import Control, as_hint
from pochade.generation.controlnet.control_unit import (
    BALANCED,
    BOTH_PASSES,
    NO_ANNOTATOR,
    PROMPT,
    SECOND_PASS,
    STRETCH,
    THRESHOLDS,
    ControlUnit,
)
from pochade.generation.controlnet.hints import Size, hint_of, looks_at_mask, masked
from pochade.generation.model import DTYPES, Model
from pochade.generation.outpainting import is_outpainting
from pochade.generation.pictures.canvas import Canvas, flattened
from pochade.generation.pictures.inputs import Inputs, pixel_hash
from pochade.generation.pictures.masks import mask_of
from pochade.generation.pictures.resizing import resized
from pochade.generation.request import Request
from pochade.kinds import open_model
from pochade.kinds.controlnet import ADAPTER, form
from pochade.library import short_hash
from pochade.networks import ControlNet, T2IAdapter, load_controlnet, load_t2i_adapter
from pochade.preprocessors import canonical, networks_of, thresholds_of

_AVERAGES = re.compile(r'global_average_pooling:\s*true|"global_pool_conditions":\s*true', re.IGNORECASE)
_THIN = ("canny", "mlsd")  # lines so thin that at a larger size they hold the picture too tightly
_COLOUR_FIX = "tile_colorfix"
_KEEPER = "inpaint_only"
_SEAM = 7  # pixels over which the kept part and the new one flow into each other


class Loaded(NamedTuple):
    """A ControlNet or T2I-Adapter and its file. One that is `averaged` was trained on shuffled pictures."""

    network: ControlNet | T2IAdapter
    path: Path
    averaged: bool


def load_beside(model: Model, path: str, low_vram: bool = False) -> Loaded:
    """The ControlNet or T2I-Adapter of a file, for a model.

    LoRAs are taken off that, because some files hold a difference to it.
    Raises FileError for what is neither, or made for other models.
    """
    weights = open_model(path)
    load = load_t2i_adapter if form(weights.shapes()) == ADAPTER else load_controlnet
    model.patches.take_off()
    network = load(weights, model.family, model.networks.unet, _place(model, low_vram), DTYPES[model.dtype])
    return Loaded(network, Path(path), _is_averaged(Path(path)))


def _place(model: Model, low_vram: bool) -> torch.device:
    """Where a network beside a model waits."""
    return torch.device("cpu") if low_vram or model.memory.workplace.is_short else model.device


def _is_averaged(path: Path) -> bool:
    """Whether the name, or the settings beside the file, tell so."""
    settings = path / "config.json" if path.is_dir() else path.with_suffix(".yaml")
    told = settings.read_text(errors="replace") if settings.is_file() else ""
    return "shuffle" in path.stem.casefold() or bool(_AVERAGES.search(told))


def resolved_controls(request: Request, inputs: Inputs, load: Callable[[str, bool], Loaded]) -> tuple[ControlUnit, ...]:
    """The controls of a request with every open choice decided. Raises UsageError when one cannot work."""
    for pictures in (inputs.controls, inputs.control_masks):
        if len(pictures) > len(request.controls):
            raise UsageError(f"There are {len(pictures)} pictures for {len(request.controls)} controls.")
    return tuple(
        _resolved(unit, request, inputs, number, load(unit.model, unit.low_vram))
        for number, unit in enumerate(request.controls)
    )


def _resolved(unit: ControlUnit, request: Request, inputs: Inputs, number: int, loaded: Loaded) -> ControlUnit:
    own = _at(inputs.controls, number)
    _check_picture(unit, request, inputs, number)
    defaults = thresholds_of(unit.preprocessor).values()
    settings: dict[str, Any] = dict(zip(THRESHOLDS, defaults, strict=False))
    given = {name: value for name in THRESHOLDS if (value := vars(unit)[name]) is not None}
    return replace(
        unit,
        model_hash=short_hash(loaded.path),
        image_hash=pixel_hash(own) if own else "",
        preprocessor=canonical(unit.preprocessor),
        annotator=unit.annotator or (NO_ANNOTATOR if networks_of(unit.preprocessor) else ""),
        annotator_hash=annotator_hash(unit),
        **settings | given,
    )


def _check_picture(unit: ControlUnit, request: Request, inputs: Inputs, number: int) -> None:
    """Raise UsageError unless there are the pictures that the control looks at."""
    name, own = f"Control {number + 1}", _at(inputs.controls, number)
    if own is None and (unit.image or unit.image_hash):
        raise UsageError(f"{name} looks at a picture, {unit.image or unit.image_hash}, which is missing; give it.")
    if own is None and not inputs.images:
        raise UsageError(f"{name} has no picture to look at; give it one (image=FILE), or draw over a picture.")
    if own is None and len(inputs.images) > 1 and request.batch > 1:
        raise UsageError(f"{name} looks at the picture that is drawn over; of several draw one at a time (batch 1).")
    if looks_at_mask(unit) and not (_at(inputs.control_masks, number) or inputs.mask or is_outpainting(request)):
        raise UsageError(f"{name} fills what a mask covers; give it one (mask=FILE).")


def _at(pictures: tuple[Image.Image | None, ...], number: int) -> Image.Image | None:
    return pictures[number] if number < len(pictures) else None


class Seen(NamedTuple):
    """What a control looks at: a picture and, for some, its mask."""

    unit: ControlUnit
    image: Image.Image
    mask: Image.Image | None


class Steering:
    """The controls of a resolved request, with a network for each, over the passes of its run."""

    def __init__(self, model: Model, request: Request, inputs: Inputs, networks: tuple[Loaded, ...] = ()) -> None:
        self.networks = networks
        self._model = model
        self._request = request
        self._inputs = inputs
        self._made = lru_cache(maxsize=2)(self._make)  # one set for each pass

    def controls(self, size: Size, canvas: Canvas | None, second: bool = False) -> tuple[Control, ...]:
        """Those that act in the first or in the second pass, for pictures of this width and height."""
        return self._made(size, canvas, second)

    def finished(self, image: Image.Image, canvas: Canvas | None) -> Image.Image:
        """A drawn picture in which the preprocessor inpaint_only keeps all outside its mask."""
        for number, unit in enumerate(self._request.controls):
            if unit.preprocessor == _KEEPER and unit.weight:
                picture, hole = masked(*self._seen(number, canvas), image.size)
                shown = Image.fromarray(hole).convert("L").point([0] * 128 + [255] * 128)
                shown = shown.filter(ImageFilter.MaxFilter(_SEAM)).filter(ImageFilter.BoxBlur(_SEAM // 2))
                image = Image.composite(image, Image.fromarray(picture), shown)
        return image

    def _make(self, size: Size, canvas: Canvas | None, second: bool) -> tuple[Control, ...]:
        numbers = [number for number, unit in enumerate(self._request.controls) if self._acts(unit, second)]
        return tuple(self._control(number, size, canvas, second) for number in numbers)

    def _acts(self, unit: ControlUnit, second: bool) -> bool:
        return not self._request.draws_twice or unit.hires == BOTH_PASSES or (unit.hires == SECOND_PASS) == second

    def _control(self, number: int, size: Size, canvas: Canvas | None, second: bool) -> Control:
        unit, loaded = self._request.controls[number], self.networks[number]
        networks = networks_for(unit, _place(self._model, unit.low_vram))
        hint = as_hint(hint_of(*self._seen(number, canvas), size, self._request.seed, networks))
        is_thin = second and unit.mode == BALANCED and unit.preprocessor in _THIN
        return Control(
            loaded.network,
            hint,
            weight=unit.weight,
            start=unit.start,
            end=unit.end,
            mode=PROMPT if is_thin else unit.mode,
            averaged=loaded.averaged,
            fix=self._fix(unit, hint, second),
            low_vram=unit.low_vram or self._model.memory.workplace.is_short,
        )

    def _fix(self, unit: ControlUnit, hint: Tensor, second: bool) -> ColourFix | None:
        if not unit.preprocessor.startswith(_COLOUR_FIX):
            return None
        assert unit.threshold_a is not None
        reach = int(unit.threshold_a) * (2 if second else 1)
        return ColourFix(self._model.encode(hint * 2 - 1), reach, unit.threshold_b or 0.0, unit.weight)

    def _seen(self, number: int, canvas: Canvas | None) -> Seen:
        """A control's own pictures, or those that are drawn over: of the masked part, where only that is drawn."""
        unit, image = self._request.controls[number], _at(self._inputs.controls, number)
        mask = _at(self._inputs.control_masks, number)
        if mask:
            mask = self._cut(mask_of(mask), unit, canvas)
        elif canvas:
            mask = canvas.mask
        if image:
            return Seen(unit, self._cut(flattened(image, self._request.background), unit, canvas), mask)
        assert canvas and canvas.source
        mode = STRETCH if self._request.resize_mode == "Latent upscale" else self._request.resize_mode
        source = canvas.source.crop(canvas.place) if canvas.place else canvas.source
        return Seen(replace(unit, resize_mode=mode), source, mask)

    def _cut(self, image: Image.Image, unit: ControlUnit, canvas: Canvas | None) -> Image.Image:
        """A control's own picture, or the part of it that lies where the run draws."""
        if canvas is None or canvas.source is None or canvas.place is None:
            return image
        return resized(image, unit.resize_mode.capitalize(), *canvas.source.size).crop(canvas.place)
