"""A Request as A1111's named parameters, and back, so that each program can redo the other's pictures."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import pochade
from pochade.generation.controlnet.control_unit import control_parameters, recalled_controls
from pochade.generation.extra_networks.lora_unit import added_parameters, recalled_loras
from pochade.generation.parameters import pass_fields, picture_fields, templates
from pochade.generation.parameters.field_values import size_of, value_of
from pochade.generation.parameters.infotext import MISSING, completed, read, write
from pochade.generation.parameters.lora_hashes import EMBEDDINGS, LORAS
from pochade.generation.parameters.pass_fields import (
    hires_parameters,
    passes_of,
    recall_passes,
    refiner_parameters,
)
from pochade.generation.parameters.picture_fields import (
    RunFacts,
    draws_over,
    had_mask,
    noise_parameters,
    picture_parameters,
    recall_picture,
)
from pochade.generation.parameters.versions import unwritten_schedule
from pochade.generation.record import file_name
from pochade.generation.request import Request, defaults

SHIPPED = "picturebook"  # what the shipped model is called in other programs

# Fields that are written when they differ from their default, under A1111's names, in its order.
_TEXT = {
    "clip_skip": "Clip skip",
    "tiling": "Tiling",
    "old_prompt_editing": "Old prompt editing timelines",
    "emphasis": "Emphasis",
    "downcast_alphas": "Downcast alphas_cumprod",
}
_SCHEDULE = {
    "discard_next_to_last": "Discard penultimate sigma",
    "sigma_min": "Schedule min sigma",
    "sigma_max": "Schedule max sigma",
    "rho": "Schedule rho",
    "beta_alpha": "Beta schedule alpha",
    "beta_beta": "Beta schedule beta",
    "sgm_noise_multiplier": "SGM noise multiplier",
    "extra_noise": "Extra noise",
}
_SAMPLING = {
    "s_churn": "Sigma churn",
    "s_tmin": "Sigma tmin",
    "s_tmax": "Sigma tmax",
    "s_noise": "Sigma noise",
    "uni_pc_variant": "UniPC variant",
    "uni_pc_skip": "UniPC skip type",
    "uni_pc_order": "UniPC order",
    "uni_pc_lower_order_final": "UniPC lower order final",
    "skip_early_cond": "Skip Early CFG",
    "ngms": "NGMS",
    "ngms_all": "NGMS all steps",
    "pad_cond_uncond": "Pad conds",
    "pad_cond_uncond_v0": "Pad conds v0",
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
    "strength": "Denoising strength",
    "ensd": "ENSD",
    "lora_hashes": LORAS,
}
_NAMES = _ALWAYS | _TEXT | _SCHEDULE | _SAMPLING | picture_fields.NAMES | pass_fields.NAMES | templates.NAMES
_ZERO_SNR = "Zero Terminal SNR"
_HANDLED = {
    *(*_NAMES.values(), *picture_fields.SPECIAL, *pass_fields.SPECIAL),
    *("Eta", "Eta DDIM", "Size-1", "Size-2", "Seed resize from-1", "Seed resize from-2", "Schedule type"),
    *("RNG", "Noise Schedule", "Version", "User", EMBEDDINGS),
    *("Hypernet", "Hypernet strength", "Hypernet hash"),
}
_ETA_DDIM = {"DDIM", "DDIM CFG++"}
_ETA_AND_ENSD = {"Euler a", "DPM2 a", "DPM++ 2S a", "DPM fast", "DPM adaptive"}
_ETA = {*_ETA_AND_ENSD, "DPM++ SDE", "DPM++ 2M SDE", "DPM++ 2M SDE Heun", "DPM++ 3M SDE"}


@dataclass(frozen=True)
class Recalled:
    """A Request read from another program's text, and the parameters in it that Pochade cannot follow.

    `began_with` names the fields of pictures that were drawn over: a text does not hold them.
    """

    request: Request
    ignored: tuple[str, ...] = ()
    began_with: tuple[str, ...] = ()


def describe(request: Request, index: int = 0, facts: RunFacts | None = None) -> str:
    """The text block that A1111 would write for picture `index` of a resolved request."""
    return write(request.prompt, request.negative_prompt, parameters_of(request, index, facts))


def parameters_of(request: Request, index: int = 0, facts: RunFacts | None = None) -> dict[str, Any]:
    """The parameters of picture `index` of a resolved request under A1111's names, in the order of its runs."""
    facts = facts or RunFacts()
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
        "VAE": file_name(request.vae) if request.vae_hash else None,
        "Variation seed": request.variation_seed_of(index) if varies else None,
        "Variation seed strength": request.variation_strength if varies else None,
        "Seed resize from": f"{resized[0]}x{resized[1]}" if resized else None,
        "Denoising strength": request.strength if _has_strength(request) else None,
        "RNG": None if request.rng == "gpu" else request.rng.upper(),
        **picture_parameters(request, facts),
        **hires_parameters(request),
        LORAS: request.lora_hashes or None,
        EMBEDDINGS: facts.embedding_hashes or None,
        **_changed(request, _TEXT),
        "Noise Schedule": _ZERO_SNR if request.zero_terminal_snr else None,
        **noise_parameters(request),
        **_changed(request, _SCHEDULE),
        **_eta(request),
        **_changed(request, _SAMPLING),
        **refiner_parameters(request),
        **added_parameters(request.loras),
        **control_parameters(request.controls),
        **_changed(request, templates.NAMES),
        "Version": f"pochade {pochade.__version__}",
    }


def _has_strength(request: Request) -> bool:
    """Whether a pass begins with a picture: with the given one, or with that of the first pass."""
    return draws_over(request) or request.draws_twice


def _changed(request: Request, names: Mapping[str, str]) -> dict[str, Any]:
    """The fields among `names` that matter and are not as usual."""
    is_weighted = any(mark in request.prompt + request.negative_prompt for mark in "([")
    is_beta = "Beta" in (schedule for _, schedule in passes_of(request))
    decided = {
        "clip_skip": (request.clip_skip or 1) > 1,
        "emphasis": is_weighted and request.emphasis != "Original",
        "beta_alpha": is_beta,
        "beta_beta": is_beta,
        "extra_noise": request.extra_noise > 0 and _has_strength(request),
    }
    values = vars(request)
    return {
        name: values[field] for field, name in names.items() if decided.get(field, values[field] != defaults()[field])
    }


def _eta(request: Request) -> dict[str, Any]:
    """Eta where a sampler takes one and it is not the usual one; ENSD where it changes the noise."""
    found: dict[str, Any] = {}
    samplers = {sampler for sampler, _ in passes_of(request)}
    if samplers & _ETA_DDIM and request.eta:
        found["Eta DDIM"] = request.eta
    if samplers & _ETA and request.eta not in (None, 1.0):
        found["Eta"] = request.eta
    if request.sampler in _ETA_AND_ENSD and request.ensd and request.eta != 0:
        found["ENSD"] = request.ensd
    return found


def recall(text: str) -> Recalled:
    """Make a Request of A1111's text block, as far as Pochade knows its parameters.

    A1111's default noise comes from the graphics card, nearly always NVIDIA's, so it is read as "nv".
    """
    return recall_parameters(*read(text))


def recall_parameters(prompt: str, negative_prompt: str, mentioned: Mapping[str, str]) -> Recalled:
    """Make a Request of prompts and of parameters as `infotext.read` gives them."""
    found = completed(prompt, negative_prompt, mentioned)
    values = {field: value_of(field, found.get(name)) for field, name in _NAMES.items()}
    understood = _HANDLED - {name for field, name in _NAMES.items() if values[field] is None}
    values |= _special(found, mentioned) | recall_picture(found, mentioned) | recall_passes(found, mentioned)
    controls = recalled_controls(mentioned)
    values["controls"], understood = tuple(controls.values()), understood | controls.keys()
    values["loras"], names = recalled_loras(mentioned)
    understood = understood | names
    request = Request(**{field: value for field, value in values.items() if value is not None})
    ignored = [key for key in mentioned if key not in understood and mentioned[key] != MISSING.get(key)]
    return Recalled(request, tuple(ignored), _began_with(request, mentioned))


def _special(found: Mapping[str, Any], mentioned: Mapping[str, str]) -> dict[str, Any]:
    """Fields that follow from several parameters or from their absence."""
    etas = ("Eta DDIM", "Eta") if found.get("Sampler") in _ETA_DDIM else ("Eta", "Eta DDIM")
    return {
        "model": None if found.get("Model") == SHIPPED else found.get("Model"),
        "width": _cells(found.get("Size-1")),
        "height": _cells(found.get("Size-2")),
        "seed_resize_from": size_of("seed_resize_from", found, "Seed resize from"),
        "eta": value_of("eta", found.get(etas[0], found.get(etas[1]))),
        "schedule": _schedule(found, mentioned),
        "rng": "cpu" if found["RNG"] == "CPU" else "nv",
        "zero_terminal_snr": found.get("Noise Schedule") == _ZERO_SNR,
    }


def _cells(text: Any) -> int | None:
    """A side in whole cells of 8 pixels, as A1111 draws it."""
    pixels = value_of("width", text)
    return None if pixels is None else pixels - pixels % 8


def _schedule(found: Mapping[str, Any], mentioned: Mapping[str, str]) -> str | None:
    """The schedule by name; None is the sampler's own."""
    if "Schedule type" not in mentioned:
        return unwritten_schedule(found, found.get("Sampler", ""))
    return None if mentioned["Schedule type"] == "Automatic" else mentioned["Schedule type"]


def _began_with(request: Request, mentioned: Mapping[str, str]) -> tuple[str, ...]:
    """The pictures behind a text. Before 1.9 pictures from nothing could have a strength too, of 0."""
    if had_mask(mentioned):
        return "image", "mask"
    is_over = "Denoising strength" in mentioned and request.strength > 0 and not request.draws_twice
    return ("image",) if is_over else ()
