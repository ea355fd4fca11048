"""LoRA files by their modules: every naming read as kohya's, and which tensor of a checkpoint each module changes."""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from pochade import layouts
from pochade.families import Family, TextEncoder
from pochade.files import LazyArray, Weights

UNET, TEXT = "lora_unet_", "lora_te"
_WEIGHT = ".weight"
_LAYER = re.compile(r"encoder_layers_(\d+)_")
_DIFFUSERS = re.compile(
    r"(?:(unet|text_encoder|text_encoder_2)\.)?(.+?)"
    r"\.(lora_A|lora_B|lora\.down|lora\.up|lora_linear_layer\.down|lora_linear_layer\.up|lora_magnitude_vector|alpha)"
    r"(?:\.default)?(?:\.weight)?"
)
_PROCESSOR = re.compile(r"(?:unet\.)?(.+)\.processor\.(to_q|to_k|to_v|to_out)_lora\.(down|up)\.weight")
_SUFFIXES = {
    "lora_A": "lora_down.weight",
    "lora.down": "lora_down.weight",
    "lora_linear_layer.down": "lora_down.weight",
    "lora_B": "lora_up.weight",
    "lora.up": "lora_up.weight",
    "lora_linear_layer.up": "lora_up.weight",
    "lora_magnitude_vector": "dora_scale",
    "alpha": "alpha",
}


@dataclass(frozen=True)
class Target:
    """A tensor of a checkpoint, whole or one of its three packed thirds."""

    name: str
    third: int | None = None


def modules_of(weights: Weights) -> dict[str, dict[str, LazyArray]]:
    """Return the tensors of every module, by kohya's name of the module and the name behind it."""
    found: dict[str, dict[str, LazyArray]] = defaultdict(dict)
    second = any(name.startswith("text_encoder_2.") for name in weights)
    for name in weights:
        module, suffix = _kohya_name(name, second)
        found[module][suffix] = weights.lazy(name)
    return dict(found)


def _kohya_name(name: str, has_second: bool) -> tuple[str, str]:
    """Return a tensor's module and suffix in kohya's naming."""
    if name.startswith((UNET, TEXT)):
        module, _, suffix = name.partition(".")
        return module, suffix
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
    for prefix, encoder in _encoders(family):
        inner = {name.removeprefix(encoder.prefix): name for name in names if name.startswith(encoder.prefix)}
        if encoder.layout == "clip":
            table |= {_module(prefix, new): Target(inner[old]) for old, new in layouts.text.to_diffusers(inner).items()}
            continue
        for old, new in layouts.openclip.to_diffusers(inner).items():
            packed = len(new) > 1
            table |= {_module(prefix, each): Target(inner[old], at if packed else None) for at, each in enumerate(new)}
    return {module: target for module, target in table.items() if module}


def _encoders(family: Family) -> list[tuple[str, TextEncoder]]:
    """Return the text encoders with the beginning of their modules' names: numbered where there are several."""
    numbers = ["1", "2"] if len(family.encoders) > 1 else [""]
    return [(f"{TEXT}{number}_", each) for number, each in zip(numbers, family.encoders, strict=True)]


def _is_used(module: str, family: Family) -> bool:
    """Tell whether a module lies in a layer that pictures need; the last ones of some text encoders never do."""
    layer = _LAYER.search(module)
    return layer is None or any(
        module.startswith(prefix) and int(layer[1]) < encoder.layers for prefix, encoder in _encoders(family)
    )


def modules(names: Iterable[str], family: Family) -> list[str]:
    """Return the modules of a checkpoint by the one name that trainers give them: SDXL's UNet goes by the original."""
    names = list(names)
    places = targets(names, family)
    unet = [name.removeprefix(family.unet_prefix) for name in names if name.startswith(family.unet_prefix)]
    own = unet if family.deep else list(layouts.unet.to_diffusers(unet).values())
    text = [module for module in places if not module.startswith(UNET) and _is_used(module, family)]
    return [module for module in (_module(UNET, name) for name in own) if module] + text


def _module(prefix: str, name: str) -> str:
    """Return kohya's name of the module whose weight this is; nothing for other tensors."""
    return prefix + name.removesuffix(_WEIGHT).replace(".", "_") if name.endswith(_WEIGHT) else ""
