"""A1111's parameters of a second pass and of a refiner, and what they mean for a Request."""

import re
from collections.abc import Mapping
from typing import Any

from pochade.generation.parameters.field_values import size_of
from pochade.generation.parameters.infotext import MISSING
from pochade.generation.parameters.versions import unwritten_schedule
from pochade.generation.record import file_name
from pochade.generation.request import Request, defaults

# Fields that are read as they are written.
NAMES = {
    "hires_prompt": "Hires prompt",
    "hires_negative_prompt": "Hires negative prompt",
    "hires": "Hires upscale",
    "hires_steps": "Hires steps",
    "hires_upscaler": "Hires upscaler",
    "refiner_by_steps": "Refiner switch by sampling steps",
    "refiner_pass": "Hires refiner",
    "refiner_switch_at": "Refiner switch at",
}
# Parameters that `recall_passes` reads.
SPECIAL = {
    *("Hires sampler", "Hires schedule type", "Hires resize-1", "Hires resize-2", "Refiner"),
    *("First pass size-1", "First pass size-2"),
}

_TIMESTEP_SAMPLERS = {"DDIM", "DDIM CFG++", "PLMS", "UniPC"}  # they have no schedule
_MODEL_FILE = re.compile(r"\.(safetensors|sft|ckpt|pth?|bin)$", re.IGNORECASE)
_TITLE = re.compile(r"(?P<name>.*?)(?: \[(?P<hash>[0-9a-f]{6,64})\])?", re.DOTALL)


def passes_of(request: Request) -> list[tuple[str | None, str | None]]:
    """Sampler and schedule of each pass."""
    first = (request.sampler, request.schedule)
    second = (request.hires_sampler or request.sampler, request.hires_schedule or request.schedule)
    return [first, second] if request.draws_twice else [first]


def hires_parameters(request: Request) -> dict[str, Any]:
    """The second pass, as far as it is not like the first one."""
    if not request.draws_twice:
        return {}
    (sampler, schedule), (own_sampler, own_schedule) = passes_of(request)
    is_like_first = own_sampler in _TIMESTEP_SAMPLERS or own_schedule in (schedule, "Automatic")
    size = request.hires_size
    return {
        "Hires sampler": _other(own_sampler, sampler),
        "Hires prompt": _other(request.hires_prompt, request.prompt),
        "Hires negative prompt": _other(request.hires_negative_prompt, request.negative_prompt),
        "Hires schedule type": None if is_like_first else own_schedule,
        "Hires upscale": None if size else request.hires,
        "Hires resize": f"{size[0]}x{size[1]}" if size else None,
        "Hires steps": request.hires_steps or None,
        "Hires upscaler": _model_name(request.hires_upscaler),
    }


def _other(own: str | None, first: str | None) -> str | None:
    """What the second pass has of its own."""
    return own if own and own != first else None


def _model_name(path: str) -> str:
    return _MODEL_FILE.sub("", file_name(path))


def refiner_parameters(request: Request) -> dict[str, Any]:
    """The model that takes over, and when."""
    by_steps = {"Refiner switch by sampling steps": request.refiner_by_steps or None}
    if not request.refiner:
        return by_steps
    name, digest = _model_name(request.refiner), request.refiner_hash
    is_unusual = request.draws_twice and request.refiner_pass != defaults()["refiner_pass"]
    return by_steps | {
        "Hires refiner": request.refiner_pass if is_unusual else None,
        "Refiner": f"{name} [{digest}]" if digest else name,
        "Refiner switch at": request.refiner_switch_at,
    }


def recall_passes(found: Mapping[str, Any], mentioned: Mapping[str, str]) -> dict[str, Any]:
    """Fields that follow from several parameters or from their absence."""
    size = size_of("hires_size", found, "Hires resize")
    values: dict[str, Any] = {"hires_size": size if size and any(size) else None}
    return values | _own_sampler(found, mentioned) | _refiner(mentioned)


def _own_sampler(found: Mapping[str, Any], mentioned: Mapping[str, str]) -> dict[str, Any]:
    """Sampler and schedule of the second pass."""
    sampler, schedule = (
        None if found[name] == MISSING[name] else found[name] for name in ("Hires sampler", "Hires schedule type")
    )
    if sampler and "Hires schedule type" not in mentioned:
        schedule = unwritten_schedule(found, sampler)
    return {"hires_sampler": sampler, "hires_schedule": schedule}


def _refiner(mentioned: Mapping[str, str]) -> dict[str, Any]:
    """A refiner by name and hash; where it is not said when it takes over, it does so at once."""
    title = _TITLE.fullmatch(mentioned.get("Refiner", ""))
    if title is None or not title["name"]:
        return {}
    values = {"refiner": title["name"], "refiner_hash": title["hash"]}
    return values if "Refiner switch at" in mentioned else values | {"refiner_switch_at": 0.0}
