"""Pictures by Easy Diffusion: one text for each setting in PNG files, all as JSON in others."""

import re
from collections.abc import Mapping
from itertools import zip_longest
from typing import Any

from pochade.generation.foreign.names import named
from pochade.generation.foreign.values import known, lora_tag, rows, size, stem, table, with_tags, word
from pochade.generation.parameters.settings import Settings
from pochade.generation.record import file_name

PROGRAM = "Easy Diffusion"

# Names of settings, and those for people that some of its files have in their place.
_NAMES = {
    "prompt": "Prompt",
    "negative_prompt": "Negative Prompt",
    "seed": "Seed",
    "num_inference_steps": "Steps",
    "guidance_scale": "Guidance Scale",
    "sampler_name": "Sampler",
    "width": "Width",
    "height": "Height",
    "prompt_strength": "Prompt Strength",
    "clip_skip": "Clip Skip",
    "use_stable_diffusion_model": "Stable Diffusion model",
    "use_vae_model": "VAE model",
    "use_hypernetwork_model": "Hypernetwork model",
    "hypernetwork_strength": "Hypernetwork Strength",
    "use_lora_model": "LoRA model",
    "lora_alpha": "LoRA strength",
    "use_controlnet_model": "ControlNet model",
    "tiling": "Seamless Tiling",
}
_MARK = "use_stable_diffusion_model"
_NONE = {"", "None", "none", "null", "False"}


def read(texts: Mapping[str, str]) -> Settings | None:
    """What a picture's texts tell if Easy Diffusion wrote them; None if not."""
    for candidate in (texts, table(texts.get("UserComment")), table(texts.get("parameters"))):
        found = {name: candidate[key] for name, key in _NAMES.items() if key in candidate}
        found |= {name: candidate[name] for name in _NAMES if name in candidate}
        if _MARK in found and "prompt" in found:
            return _settings(found)
    return None


def _settings(found: dict[str, Any]) -> Settings:
    value = found.get
    labels = named(word(value("sampler_name")), "")
    is_skipping = word(value("clip_skip")) in ("True", "true") or value("clip_skip") is True
    parameters = {
        "Steps": value("num_inference_steps"),
        "Sampler": labels.sampler,
        "Schedule type": labels.schedule,
        "CFG scale": value("guidance_scale"),
        "Seed": value("seed"),
        "Size": size(value("width"), value("height")),
        "Model": stem(word(value(_MARK))),
        "VAE": _present(file_name(word(value("use_vae_model")))),
        "Denoising strength": _present(word(value("prompt_strength"))),
        "Clip skip": 2 if is_skipping else 1,
        "Tiling": "True" if word(value("tiling")) == "xy" else None,
        "Version": PROGRAM,
    }
    control = _present(word(value("use_controlnet_model")))
    left_out = [*labels.left_out, *([f"its ControlNet {control}"] if control else [])]
    prompt = with_tags(word(value("prompt")), _networks(found))
    return Settings(PROGRAM, prompt, word(value("negative_prompt")), known(parameters), tuple(left_out))


def _present(text: str) -> str:
    return "" if text in _NONE else text


def _networks(found: dict[str, Any]) -> list[str]:
    """A1111's tags for LoRAs and hypernetwork."""
    names, weights = (_listed(found.get(name)) for name in ("use_lora_model", "lora_alpha"))
    tags = [lora_tag(*pair) for pair in zip_longest(names, weights[: len(names)], fillvalue="")]
    hypernetwork = _present(stem(word(found.get("use_hypernetwork_model"))))
    strength = word(found.get("hypernetwork_strength")) or "1"
    return [*tags, f"<hypernet:{hypernetwork}:{strength}>"] if hypernetwork else tags


def _listed(value: Any) -> list[str]:
    """One or several values: JSON's list, or a text that is one."""
    text = re.sub(r"[\[\]'\"]", "", word(value))
    parts = text.split(",") if text else [word(each) for each in rows(value)]
    return [part.strip() for part in parts if _present(part.strip())]
