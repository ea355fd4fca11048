"""Pictures by SwarmUI, which draws with ComfyUI: JSON in `parameters`."""

from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any

from pochade.generation.foreign.comfyui_prompts import as_a1111
from pochade.generation.foreign.names import named
from pochade.generation.foreign.values import known, lora_tag, number, rows, size, stem, table, with_tags, word
from pochade.generation.parameters.resources import Resources
from pochade.generation.parameters.settings import Settings
from pochade.generation.record import file_name

PROGRAM = "SwarmUI"

_MARK = "sui_image_params"
_PLACES = ("parameters", "UserComment")
_LORAS = {"loras", "used_loras"}
_DIGITS = 12
_EXTRAS = {
    "refinerupscale": "its second pass",
    "refinermodel": "its refiner",
    "controlnetmodel": "its ControlNet",
    "variationseed": "its variation",
    "initimage": "the picture that it began with",
}


def read(texts: Mapping[str, str]) -> Settings | None:
    """What a picture's texts tell if SwarmUI wrote them; None if not."""
    tables = (table(texts.get(place)) for place in _PLACES)
    found = next((each for each in tables if table(each.get(_MARK))), None)
    return _settings(table(found[_MARK]), found) if found else None


def _settings(drawn: dict[str, Any], whole: dict[str, Any]) -> Settings:
    value = drawn.get
    sampler = word(value("sampler") or value("comfyuisampler")) or "euler"
    labels = named("euler" if sampler == "ddim" else sampler, word(value("scheduler") or value("comfyuischeduler")))
    clip_skip = number(value("clipstopatlayer"))
    parameters = {
        "Steps": value("steps"),
        "Sampler": labels.sampler,
        "Schedule type": labels.schedule or "Normal",
        "CFG scale": value("cfgscale"),
        "Seed": value("seed"),
        "Size": size(value("width"), value("height")),
        "Model": stem(word(value("model"))),
        "VAE": file_name(word(value("vae"))),
        "Clip skip": -clip_skip if clip_skip < 0 else None,
        "RNG": "CPU",
        "Version": f"{PROGRAM} {word(value('swarm_version'))}".rstrip(),
    }
    left_out = [*labels.left_out, *(title for name, title in _EXTRAS.items() if value(name))]
    prompt, negative = as_a1111(word(value("prompt"))), as_a1111(word(value("negativeprompt")))
    resources = Resources(loras=dict(_hashes(whole)))
    prompt = with_tags(prompt, _loras(drawn))
    return Settings(PROGRAM, prompt, negative, known(parameters), tuple(left_out), resources=resources)


def _loras(drawn: dict[str, Any]) -> list[str]:
    """A1111's tags for the LoRAs: names in one list, weights in another, or both as text with commas."""
    names, weights = (_listed(drawn.get(name)) for name in ("loras", "loraweights"))
    return [lora_tag(*pair) for pair in zip_longest(names, weights[: len(names)], fillvalue="")]


def _hashes(whole: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The hashes of LoRAs by name, as short as A1111's: both are of a file's numbers alone."""
    for entry in map(table, rows(whole.get("sui_models"))):
        digest = word(entry.get("hash")).lower().removeprefix("0x")
        if digest and word(entry.get("param")) in _LORAS:
            yield stem(word(entry.get("name"))), digest[:_DIGITS]


def _listed(value: Any) -> list[str]:
    return [word(each) for each in rows(value)] or [each.strip() for each in word(value).split(",") if each.strip()]
