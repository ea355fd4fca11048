"""Pictures by InvokeAI: `invokeai_metadata` since its version 3, `sd-metadata` and `Dream` before."""

import re
import shlex
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from pochade.generation.foreign.names import named
from pochade.generation.foreign.values import known, lora_tag, number, rows, size, stem, table, with_tags, word
from pochade.generation.parameters.settings import Settings
from pochade.generation.record import file_name

PROGRAM = "InvokeAI"

_WEIGHTED = re.compile(r"[\w)][+-]+(?=[\s,.)]|$)|\)\d*\.?\d+")
_NEGATIVE = re.compile(r"\[([^\[\]]*)\]")
# What changes a picture and has no place here, by how it is told.
_EXTRAS = {
    "controlnets": "its ControlNets",
    "ipAdapters": "its IP adapters",
    "t2iAdapters": "its T2I adapters",
    "control_layers": "its control layers",
    "regions": "its regions",
    "refiner_model": "its refiner",
    "hrf_enabled": "its second pass at high resolution",
    "cfg_rescale_multiplier": "its rescaled guidance",
    "perlin": "its Perlin noise",
    "threshold": "its threshold",
    "variations": "its variations",
}
_DREAM = {
    "-s": "Steps",
    "-S": "Seed",
    "-W": "width",
    "-H": "height",
    "-C": "CFG scale",
    "-A": "sampler",
    "-f": "strength",
}
_MOST_DREAM = 20_000


def read(texts: Mapping[str, str]) -> Settings | None:
    """What a picture's texts tell if InvokeAI wrote them; None if not."""
    metadata = table(texts.get("invokeai_metadata"))
    if {"positive_prompt", "app_version", "generation_mode"} & metadata.keys():
        return _settings(metadata)
    old = table(texts.get("sd-metadata"))
    if table(old.get("image")):
        return _old_settings(old)
    return _dreamt(texts["Dream"]) if "Dream" in texts else None


def _settings(metadata: dict[str, Any]) -> Settings:
    value = metadata.get
    labels = named(word(value("scheduler")), "")
    prompt = with_tags(_with_style(metadata, "positive"), _loras(metadata))
    negative = _with_style(metadata, "negative")
    parameters = {
        "Steps": value("steps"),
        "Sampler": labels.sampler,
        "Schedule type": labels.schedule or ("Uniform" if labels.sampler else ""),
        "CFG scale": value("cfg_scale"),
        "Seed": value("seed"),
        "Size": size(value("width"), value("height")),
        "Model": stem(_name(value("model"))),
        "VAE": file_name(_name(value("vae"))),
        "Denoising strength": value("strength") if value("init_image") else None,
        "Clip skip": number(value("clip_skip")) + 1 if word(value("clip_skip")) else None,
        "RNG": "CPU" if value("rand_device") == "cpu" else None,
        "Tiling": "True" if value("seamless_x") and value("seamless_y") else None,
        "Version": f"{PROGRAM} {word(value('app_version'))}".rstrip(),
    }
    left_out = [*labels.left_out, *_weights(prompt + negative), *_extras(metadata)]
    return Settings(PROGRAM, prompt, negative, known(parameters), tuple(left_out))


def _with_style(metadata: dict[str, Any], role: str) -> str:
    """A prompt with the style prompt that SDXL may have beside it."""
    parts = (word(metadata.get(f"{role}_{kind}prompt")) for kind in ("", "style_"))
    return " ".join(dict.fromkeys(filter(None, parts)))


def _name(model: Any) -> str:
    """A model's name in any of the forms it had."""
    entry = table(model)
    return word(model) or word(entry.get("name")) or word(entry.get("model_name"))


def _loras(metadata: dict[str, Any]) -> list[str]:
    """A1111's tags for the LoRAs."""
    entries = [table(each) for each in rows(metadata.get("loras"))]
    pairs = ((_name(each.get("model") or each.get("lora")), word(each.get("weight"))) for each in entries)
    return [lora_tag(name, weight) for name, weight in pairs if name]


def _weights(text: str) -> list[str]:
    return ["its way to weigh words, such as word++"] if _WEIGHTED.search(text) else []


def _extras(metadata: dict[str, Any]) -> list[str]:
    return [title for name, title in _EXTRAS.items() if metadata.get(name)]


def _old_settings(metadata: dict[str, Any]) -> Settings:
    """Versions 2 kept the negative prompt in brackets inside the prompt."""
    image = table(metadata.get("image"))
    labels = named(word(image.get("sampler")), "")
    prompts = image.get("prompt")
    whole = word(prompts) or ", ".join(word(table(each).get("prompt")) for each in rows(prompts))
    prompt, negative = _apart(whole)
    parameters = {
        "Steps": image.get("steps"),
        "Sampler": labels.sampler,
        "Schedule type": labels.schedule or ("Uniform" if labels.sampler else ""),
        "CFG scale": image.get("cfg_scale"),
        "Seed": image.get("seed"),
        "Size": size(image.get("width"), image.get("height")),
        "Model hash": word(metadata.get("model_hash"))[:10],
        "Model": word(metadata.get("model_weights")),
        "Denoising strength": image.get("strength") if image.get("type") == "img2img" else None,
        "Tiling": "True" if image.get("seamless") is True else None,
        "Version": f"{PROGRAM} {word(metadata.get('app_version'))}".rstrip(),
    }
    left_out = [*labels.left_out, *_weights(whole), *_extras(image)]
    return Settings(PROGRAM, prompt, negative, known(parameters), tuple(left_out))


def _apart(prompt: str) -> tuple[str, str]:
    """Prompt and negative prompt out of one text."""
    return _NEGATIVE.sub("", prompt).strip(), ", ".join(_NEGATIVE.findall(prompt))


def _dreamt(command: str) -> Settings | None:
    """The command line that version 1 wrote: the prompt in quotes, then -s STEPS -S SEED..."""
    try:
        words = shlex.split(command[:_MOST_DREAM])
    except ValueError:
        return None
    found = {_DREAM[flag]: value for flag, value in pairwise(words) if flag in _DREAM}
    if not found:
        return None
    labels = named(found.get("sampler", ""), "")
    prompt, negative = _apart(words[0])
    parameters = {
        **{name: value for name, value in found.items() if name[0].isupper()},
        "Sampler": labels.sampler,
        "Schedule type": labels.schedule or ("Uniform" if labels.sampler else ""),
        "Size": size(found.get("width"), found.get("height")),
        "Denoising strength": found.get("strength"),
        "Version": PROGRAM,
    }
    return Settings(PROGRAM, prompt, negative, known(parameters), labels.left_out)
