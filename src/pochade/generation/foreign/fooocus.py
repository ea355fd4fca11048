"""Pictures by Fooocus: JSON in `parameters`, or A1111's text with names of its own."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pochade.generation.foreign.names import named
from pochade.generation.foreign.values import known, lora_tag, rows, size, stem, table, with_tags, word
from pochade.generation.parameters.resources import Resources
from pochade.generation.parameters.settings import Settings
from pochade.generation.record import file_name

PROGRAM = "Fooocus"

_PLACES = ("parameters", "UserComment", "Comment")
_MARKS = {"base_model", "metadata_scheme", "performance", "full_prompt"}
_SIDES = re.compile(r"\(?\s*(\d{2,5})\s*[,x×]\s*(\d{2,5})\s*\)?")
_NONE = {"", "None", "Default (model)"}
_REPEATED = {"Raw prompt", "Raw negative prompt"}  # what was typed, without what styles made of it
_EXTRAS = {
    "sharpness": "its sharpness",
    "adm_guidance": "its guidance by size",
    "adaptive_cfg": "its adaptive guidance",
    "freeu": "FreeU",
}


def read(texts: Mapping[str, str]) -> Settings | None:
    """What a picture's texts tell if Fooocus wrote them as JSON; None if not."""
    tables = (table(texts.get(place)) for place in _PLACES)
    found = next((each for each in tables if len(_MARKS & each.keys()) > 1), None)
    return _settings(found) if found else None


def in_a1111s_words(settings: Settings) -> Settings:
    """What A1111's text by Fooocus tells, as A1111 would: LoRAs in the prompt, and no VAE where it is the model's."""
    if settings.program != PROGRAM:
        return settings
    told = {name: text for name, text in settings.parameters.items() if name not in _REPEATED}
    weights = (each.rpartition(":") for each in told.pop("Lora weights", "").split(","))
    tags = [lora_tag(name.strip(), weight.strip()) for name, _, weight in weights if name]
    schedule = named("", told.pop("Scheduler", "")).schedule
    told = {"RNG": "CPU", **({"Schedule type": schedule} if schedule else {}), **told}
    if told.get("VAE") in _NONE:
        del told["VAE"]
    return replace(settings, prompt=with_tags(settings.prompt, tags), parameters=told)


def _settings(found: dict[str, Any]) -> Settings:
    value = found.get
    labels = named(word(value("sampler")), word(value("scheduler")))
    sides = _SIDES.fullmatch(word(value("resolution")))
    refiner, digest = word(value("refiner_model")), word(value("refiner_model_hash"))
    vae = word(value("vae"))
    parameters = {
        "Steps": value("steps"),
        "Sampler": labels.sampler,
        "Schedule type": labels.schedule,
        "CFG scale": value("guidance_scale"),
        "Seed": value("seed"),
        "Size": size(sides[1], sides[2]) if sides else "",
        "Model hash": value("base_model_hash"),
        "Model": stem(word(value("base_model"))),
        "VAE": "" if vae in _NONE else file_name(vae),
        "Clip skip": value("clip_skip"),
        "RNG": "CPU",
        **({} if refiner in _NONE else {"Refiner": f"{stem(refiner)}{f' [{digest}]' * bool(digest)}"}),
        "Refiner switch at": None if refiner in _NONE else value("refiner_switch"),
        "Version": word(value("version")) or PROGRAM,
    }
    extras = tuple(f"{title}, {word(value(name))}" for name, title in _EXTRAS.items() if word(value(name)))
    loras = _loras(found)
    prompt = with_tags(_whole(found, "prompt"), (lora_tag(name, weight) for name, weight, _ in loras))
    negative, left_out = _whole(found, "negative_prompt"), labels.left_out + extras
    resources = Resources(loras={stem(name): digest.lower() for name, _, digest in loras if digest})
    return Settings(PROGRAM, prompt, negative, known(parameters), left_out, resources=resources)


def _whole(found: dict[str, Any], name: str) -> str:
    """A prompt as it was drawn, with its styles and what was added to it; Fooocus encodes these parts one by one."""
    parts = [each for each in map(word, rows(found.get(f"full_{name}"))) if each]
    return " BREAK ".join(parts) or word(found.get(name))


def _loras(found: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Name, weight and hash of each LoRA. Newer files have them twice, and as "name : weight" without the hash."""
    listed = [[*map(word, each), ""] for each in map(rows, rows(found.get("loras"))) if len(each) >= 2]
    combined = (word(found.get(f"lora_combined_{place}")).rpartition(":") for place in range(1, 21))
    listed = listed or [[name.strip(), weight.strip(), ""] for name, _, weight in combined if name]
    return [(name, weight, digest) for name, weight, digest, *_ in listed if name not in _NONE]
