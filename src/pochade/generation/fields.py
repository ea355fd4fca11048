"""A Request as A1111's named parameters, and back, so that each program can redo the other's pictures."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import pochade
from pochade.generation.infotext import MISSING, parse, read, write
from pochade.generation.request import Request, defaults, file_name, kind_of, rules
from pochade.generation.versions import had_schedule_types

SHIPPED = "picturebook"  # what the shipped model is called in other programs

# Fields that are written when they differ from their default, under A1111's names.
_NAMES = {
    "clip_skip": "Clip skip",
    "tiling": "Tiling",
    "emphasis": "Emphasis",
    "pad_cond_uncond": "Pad conds",
    "pad_cond_uncond_v0": "Pad conds v0",
    "old_prompt_editing": "Old prompt editing timelines",
    "ngms": "NGMS",
    "ngms_all": "NGMS all steps",
    "skip_early_cond": "Skip Early CFG",
    "sigma_min": "Schedule min sigma",
    "sigma_max": "Schedule max sigma",
    "rho": "Schedule rho",
    "discard_next_to_last": "Discard penultimate sigma",
    "sgm_noise_multiplier": "SGM noise multiplier",
    "downcast_alphas": "Downcast alphas_cumprod",
    "s_churn": "Sigma churn",
    "s_tmin": "Sigma tmin",
    "s_tmax": "Sigma tmax",
    "s_noise": "Sigma noise",
    "beta_alpha": "Beta schedule alpha",
    "beta_beta": "Beta schedule beta",
    "uni_pc_variant": "UniPC variant",
    "uni_pc_skip": "UniPC skip type",
    "uni_pc_order": "UniPC order",
    "uni_pc_lower_order_final": "UniPC lower order final",
}
# Fields that are always read from these names.
_ALWAYS = {
    "prompt": "Prompt",
    "negative_prompt": "Negative prompt",
    "steps": "Steps",
    "sampler": "Sampler",
    "cfg": "CFG scale",
    "seed": "Seed",
    "model": "Model",
    "model_hash": "Model hash",
    "vae": "VAE",
    "vae_hash": "VAE hash",
    "variation_seed": "Variation seed",
    "variation_strength": "Variation seed strength",
    "ensd": "ENSD",
}
_ZERO_SNR = "Zero Terminal SNR"
_HANDLED = {
    *(*_NAMES.values(), *_ALWAYS.values()),
    *("Eta", "Eta DDIM", "Size-1", "Size-2", "Seed resize from-1", "Seed resize from-2", "Schedule type"),
    *("RNG", "Noise Schedule", "Version", "User", "Hires resize-1", "Hires resize-2"),
}
_ETA_DDIM = {"DDIM", "DDIM CFG++"}
_ETA_AND_ENSD = {"Euler a", "DPM2 a", "DPM++ 2S a", "DPM fast", "DPM adaptive"}
_ETA = {*_ETA_AND_ENSD, "DPM++ SDE", "DPM++ 2M SDE", "DPM++ 2M SDE Heun", "DPM++ 3M SDE"}


@dataclass(frozen=True)
class Recalled:
    """A Request read from another program's text, and the parameters in it that Pochade cannot follow."""

    request: Request
    ignored: tuple[str, ...] = ()


def describe(request: Request, index: int = 0) -> str:
    """The text block that A1111 would write for picture `index` of a resolved request."""
    return write(request.prompt, request.negative_prompt, parameters_of(request, index))


def parameters_of(request: Request, index: int = 0) -> dict[str, Any]:
    """The parameters of picture `index` of a resolved request, under A1111's names."""
    varies = request.variation_strength > 0
    resized = request.seed_resize_from
    return {
        "Steps": request.steps,
        "Sampler": request.sampler,
        "Schedule type": request.schedule,
        "CFG scale": request.cfg,
        "Seed": request.seed_of(index),
        "Size": f"{request.width}x{request.height}" if request.width and request.height else None,
        "Model hash": request.model_hash or None,
        "Model": PurePath(file_name(request.model)).stem or SHIPPED,
        "VAE hash": request.vae_hash or None,
        "VAE": file_name(request.vae) or None,
        "Variation seed": request.variation_seed_of(index) if varies else None,
        "Variation seed strength": request.variation_strength if varies else None,
        "Seed resize from": f"{resized[0]}x{resized[1]}" if resized else None,
        "RNG": None if request.rng == "gpu" else request.rng.upper(),
        **_options(request),
        **_eta(request),
        "Noise Schedule": _ZERO_SNR if request.zero_terminal_snr else None,
        "Version": f"pochade {pochade.__version__}",
    }


def _options(request: Request) -> dict[str, Any]:
    is_weighted = any(mark in request.prompt + request.negative_prompt for mark in "([")
    decided = {
        "clip_skip": (request.clip_skip or 1) > 1,
        "emphasis": is_weighted and request.emphasis != "Original",
        "beta_alpha": request.schedule == "Beta",
        "beta_beta": request.schedule == "Beta",
    }
    values = vars(request)
    return {
        name: values[field] for field, name in _NAMES.items() if decided.get(field, values[field] != defaults()[field])
    }


def _eta(request: Request) -> dict[str, Any]:
    """Eta where the sampler takes one and it is not the usual one; ENSD where it changes the noise."""
    found: dict[str, Any] = {}
    if request.sampler in _ETA_DDIM and request.eta:
        found["Eta DDIM"] = request.eta
    if request.sampler in _ETA and request.eta not in (None, 1.0):
        found["Eta"] = request.eta
    if request.sampler in _ETA_AND_ENSD and request.ensd and request.eta != 0:
        found["ENSD"] = request.ensd
    return found


def recall(text: str) -> Recalled:
    """Make a Request of A1111's text block, as far as Pochade knows its parameters.

    A1111's default noise comes from the graphics card, nearly always NVIDIA's, so it is read as "nv".
    """
    found = parse(text)
    mentioned = read(text)[2]
    named = {field: found.get(name) for field, name in (_ALWAYS | _NAMES).items()}
    values = {field: _read(field, value) for field, value in named.items()}
    values |= _sizes(mentioned) | {
        "eta": _read("eta", found.get("Eta DDIM" if found.get("Sampler") in _ETA_DDIM else "Eta")),
        "schedule": _schedule(found, mentioned),
        "rng": "cpu" if found["RNG"] == "CPU" else "nv",
        "zero_terminal_snr": found.get("Noise Schedule") == _ZERO_SNR or None,
    }
    if values["model"] == SHIPPED:
        values["model"] = ""
    request = Request(**{field: value for field, value in values.items() if value is not None})
    ignored = [key for key in mentioned if key not in _HANDLED and mentioned[key] != MISSING.get(key)]
    return Recalled(request, tuple(ignored))


def _read(field: str, value: Any) -> Any:
    """A parameter's text as the field's value; None if it cannot be one."""
    kind = kind_of(field)[0]
    if value is None or isinstance(value, kind):
        return value
    if kind is bool:
        return str(value).casefold() == "true"
    try:
        number = float(value) if kind is float else int(value)
    except ValueError:
        return None
    least, most = rules()[field].least, rules()[field].most
    return number if least is not None and most is not None and least <= number <= most else None


def _sizes(mentioned: Mapping[str, str]) -> dict[str, Any]:
    """Sizes in whole cells of 8 pixels, as A1111 draws them."""
    size = [_cells(mentioned.get(f"Size-{side}")) for side in (1, 2)]
    resized = [_cells(mentioned.get(f"Seed resize from-{side}")) for side in (1, 2)]
    return {
        "width": size[0],
        "height": size[1],
        "seed_resize_from": (resized[0], resized[1]) if all(resized) else None,
    }


def _cells(text: str | None) -> int | None:
    pixels = _read("width", text)
    return None if pixels is None else pixels - pixels % 8


def _schedule(found: Mapping[str, Any], mentioned: Mapping[str, str]) -> str | None:
    """The schedule by name; None is the sampler's own, but before A1111 1.9 every sampler's own was Uniform."""
    if found["Schedule type"] != "Automatic":
        return str(found["Schedule type"])
    if "Schedule type" in mentioned or had_schedule_types(found):
        return None
    return None if _names_schedule(found.get("Sampler", "")) else "Uniform"


def _names_schedule(sampler: str) -> bool:
    """Whether an old sampler name says the schedule itself, as "DPM++ 2M Karras" does, or is tied to one."""
    return sampler == "Restart" or sampler.endswith((" Karras", " Exponential", " Polyexponential", " SGMUniform"))
