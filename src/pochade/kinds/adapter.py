"""LoRA files by their modules: every naming read as kohya's, and which tensor of a checkpoint each module changes."""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pochade import layouts
from pochade.errors import MalformedFileError
from pochade.families import Family, TextEncoder
from pochade.files import LazyArray, Weights
from pochade.kinds.lora import SETTINGS

UNET, TEXT = "lora_unet_", "lora_te"
_OFT_UNET = "oft_unet_"  # what kohya's OFT calls it
DOWN, UP, CORE = "lora_down.weight", "lora_up.weight", "lora_mid.weight"
ALPHA, LENGTHS = "alpha", "dora_scale"
_PEFT_LENGTHS = "lora_magnitude_vector"
_WEIGHT = ".weight"
_CONVOLUTION = 4
_WIDE = re.compile(
    r"lora_unet_.*_(?:conv[12]?|op|in_layers_2|out_layers_3)|lora_unet_(?:conv_in|conv_out|input_blocks_0_0|out_2)"
)
_NARROW = re.compile(r"lora_unet_.*_(?:conv_shortcut|skip_connection)")
_PROJECTION = re.compile(r"lora_unet_.*_proj_(?:in|out)")
_LAYER = re.compile(r"encoder_layers_(\d{1,4})_")
_DIFFUSERS = re.compile(
    r"(?:(unet|text_encoder|text_encoder_2)\.)?(.+?)"
    r"\.(lora_A|lora_B|lora\.down|lora\.up|lora_linear_layer\.down|lora_linear_layer\.up|lora_magnitude_vector|alpha)"
    r"(?:\.default)?(?:\.weight)?"
)
_PROCESSOR = re.compile(r"(?:unet\.)?(.+)\.processor\.(to_q|to_k|to_v|to_out)_lora\.(down|up)\.weight")
_SUFFIXES = {
    "lora_A": DOWN,
    "lora.down": DOWN,
    "lora_linear_layer.down": DOWN,
    "lora_B": UP,
    "lora.up": UP,
    "lora_linear_layer.up": UP,
    _PEFT_LENGTHS: LENGTHS,
    "alpha": ALPHA,
}


@dataclass(frozen=True)
class Target:
    """A tensor of a checkpoint, whole or one of its three packed thirds."""

    name: str
    third: int | None = None


def modules_of(weights: Weights) -> dict[str, dict[str, LazyArray]]:
    """Return the tensors of every module, by kohya's name of the module and the name behind it.

    What PEFT keeps otherwise is put right: DoRA's lengths get kohya's shape [out, 1, ...], and alphas that only the
    metadata tells become tensors. Raises MalformedFileError when these settings cannot be read.
    """
    found: dict[str, dict[str, LazyArray]] = defaultdict(dict)
    settings = _settings(weights)
    second = any(name.startswith("text_encoder_2.") for name in weights)
    with_peft_lengths = set()
    for name in weights:
        module, suffix = _kohya_name(name, second)
        found[module][suffix] = weights.lazy(name)
        if suffix == DOWN and (alpha := _alpha(settings, name, weights.info(name).shape)):
            found[module].setdefault(ALPHA, LazyArray.of(np.array(alpha, np.float32)))
        if suffix == LENGTHS and _PEFT_LENGTHS in name:
            with_peft_lengths.add(module)
    for module in with_peft_lengths:
        lengths, down = found[module][LENGTHS], found[module].get(DOWN)
        others = len(down.info.shape) - 1 if down else 1
        found[module][LENGTHS] = lengths.reshaped(lengths.info.size, *[1] * others)
    return dict(found)


def _settings(weights: Weights) -> Mapping[str, Any]:
    """Return PEFT's settings by the part and their name, as diffusers keeps them in the metadata."""
    try:
        settings = json.loads(weights.metadata.get(SETTINGS, "{}"))
    except (ValueError, RecursionError) as error:
        raise MalformedFileError(weights.path or "the weights", f"has a broken {SETTINGS}: {error}") from error
    return settings if isinstance(settings, dict) else {}


def _alpha(settings: Mapping[str, Any], name: str, shape: tuple[int, ...]) -> float | None:
    """Return the alpha that the settings give a tensor's module: its own one, or that of all."""
    found = _DIFFUSERS.fullmatch(name)
    if found is None:
        return None
    part, place = found[1] or "unet", f".{found[2]}"
    own = settings.get(f"{part}.alpha_pattern")
    own = own.items() if isinstance(own, dict) else ()
    alpha = next(
        (value for module, value in own if place.endswith(f".{module.removeprefix('^')}")),
        settings.get(f"{part}.lora_alpha"),
    )
    if not isinstance(alpha, int | float):
        return None
    return float(alpha) * (shape[0] ** 0.5 if shape and settings.get(f"{part}.use_rslora") else 1.0)


def kernel_of(module: str, family: Family | None) -> tuple[int, ...]:
    """Return the kernel of the convolution that a module changes, as its name tells it; nothing for a matrix."""
    if _WIDE.fullmatch(module):
        return (3, 3)
    has_convolutions = family is not None and family.projection_rank == _CONVOLUTION
    if _NARROW.fullmatch(module) or (has_convolutions and _PROJECTION.fullmatch(module)):
        return (1, 1)
    return ()


def _kohya_name(name: str, has_second: bool) -> tuple[str, str]:
    """Return a tensor's module and suffix in kohya's naming."""
    if name.startswith(_OFT_UNET):
        name = UNET + name.removeprefix(_OFT_UNET)
    if name.startswith((UNET, TEXT)):
        module, _, suffix = name.partition(".")
        return module, LENGTHS if suffix.startswith(_PEFT_LENGTHS) else suffix
    if old := _PROCESSOR.fullmatch(name):
        place = f"{old[1]}.{'to_out.0' if old[2] == 'to_out' else old[2]}"
        return UNET + place.replace(".", "_"), f"lora_{old[3]}.weight"
    found = _DIFFUSERS.fullmatch(name)
    if found is None:
        return name, ""
    part, place, kind = found.groups()
    if part in ("text_encoder", "text_encoder_2"):
        number = {"text_encoder": "1", "text_encoder_2": "2"}[part] if has_second else ""
        place = place if place.startswith("text_model.") else f"text_model.{place}"
        return f"{TEXT}{number}_{place.replace('.', '_')}", _SUFFIXES[kind]
    return UNET + place.replace(".", "_"), _SUFFIXES[kind]


def targets(names: Iterable[str], family: Family) -> dict[str, Target]:
    """Return what every module of a LoRA for this checkpoint changes; SDXL's UNet goes by either of its namings."""
    names = [name for name in names if name.endswith(("weight", "bias"))]
    unet = {name.removeprefix(family.unet_prefix): name for name in names if name.startswith(family.unet_prefix)}
    table = {_module(UNET, short): Target(full) for short, full in unet.items()}
    table |= {_module(UNET, new): Target(unet[old]) for old, new in layouts.unet.to_diffusers(unet).items()}
    for prefix, encoder in text_encoders(family):
        inner = {name.removeprefix(encoder.prefix): name for name in names if name.startswith(encoder.prefix)}
        if encoder.layout == "clip":
            table |= {_module(prefix, new): Target(inner[old]) for old, new in layouts.text.to_diffusers(inner).items()}
            continue
        for old, new in layouts.openclip.to_diffusers(inner).items():
            packed = len(new) > 1
            table |= {_module(prefix, each): Target(inner[old], at if packed else None) for at, each in enumerate(new)}
    return {module: target for module, target in table.items() if module}


def text_encoders(family: Family) -> list[tuple[str, TextEncoder]]:
    """Return the text encoders with the beginning of their modules' names: numbered where there are several."""
    numbers = ["1", "2"] if len(family.encoders) > 1 else [""]
    return [(f"{TEXT}{number}_", each) for number, each in zip(numbers, family.encoders, strict=True)]


def is_used(module: str, family: Family) -> bool:
    """Tell whether a module lies in a layer that pictures need; the last ones of some text encoders never do."""
    layer = _LAYER.search(module)
    return layer is None or any(
        module.startswith(prefix) and int(layer[1]) < encoder.layers for prefix, encoder in text_encoders(family)
    )


def modules(names: Iterable[str], family: Family) -> list[str]:
    """Return the modules of a checkpoint by the one name that trainers give them: SDXL's UNet goes by the original."""
    names = list(names)
    places = targets(names, family)
    unet = [name.removeprefix(family.unet_prefix) for name in names if name.startswith(family.unet_prefix)]
    own = unet if family.deep else list(layouts.unet.to_diffusers(unet).values())
    text = [module for module in places if not module.startswith(UNET) and is_used(module, family)]
    return [module for module in (_module(UNET, name) for name in own) if module] + text


def _module(prefix: str, name: str) -> str:
    """Return kohya's name of the module whose weight this is; nothing for other tensors."""
    return prefix + name.removesuffix(_WEIGHT).replace(".", "_") if name.endswith(_WEIGHT) else ""
