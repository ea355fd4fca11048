"""Pictures by NovelAI: the settings as JSON in `Comment`, with its own brackets for emphasis."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pochade.generation.foreign.names import named
from pochade.generation.foreign.values import known, rows, size, table, word
from pochade.generation.parameters.settings import Settings

PROGRAM = "NovelAI"

_STRONGER, _WEAKER = "1.05", "0.952"
_OPENING = {"{": "}", "[": "]"}
_WEIGHTS = {"}": _STRONGER, "]": _WEAKER}
_ROUND = re.compile(r"(?<!\\)[()]")
_NUMBERED = re.compile(r"(-?\d{1,3}(?:\.\d{1,4})?)::(.*?)(?:::|$)", re.DOTALL)
_ENSD = "31337"  # NovelAI's noise of later steps, as A1111 tells it
_EXTRAS = {
    "cfg_rescale": "its rescaled guidance",
    "dynamic_thresholding": "its dynamic thresholding",
    "reference_strength_multiple": "its reference pictures",
    "reference_information_extracted": "its reference pictures",
    "sm": "SMEA",
    "sm_dyn": "SMEA",
    "mask": "its mask",
}


def read(texts: Mapping[str, str]) -> Settings | None:
    """What a picture's texts tell if NovelAI wrote them; None if not."""
    inner = table(texts.get("UserComment"))  # of its WEBP files
    texts = {**texts, **{name: text for name, text in inner.items() if isinstance(text, str)}}
    comment = table(texts.get("Comment"))
    is_own = texts.get("Software", "").startswith(PROGRAM)
    if not comment or not (is_own or {"uc", "sampler", "scale"} <= comment.keys()):
        return None
    return _settings(comment, texts.get("Description", ""), texts.get("Source", ""))


def with_size(settings: Settings, width: int, height: int) -> Settings:
    """The settings with the size of the picture itself, which older ones do not tell."""
    if settings.program != PROGRAM or "Size-1" in settings.parameters:
        return settings
    return replace(settings, parameters={**settings.parameters, **known({"Size": size(width, height)})})


def _settings(comment: dict[str, Any], description: str, source: str) -> Settings:
    value = comment.get
    labels = named(word(value("sampler")), _schedule(word(value("noise_schedule"))))
    base, characters = _captions(value("v4_prompt"))
    base_uc, other = _captions(value("v4_negative_prompt"))
    prompt = word(value("prompt")) or description or base
    parameters = {
        "Steps": value("steps"),
        "Sampler": labels.sampler,
        "Schedule type": labels.schedule,
        "CFG scale": value("scale"),
        "Seed": value("seed"),
        "Size": size(value("width"), value("height")),
        "Model": source,
        "Denoising strength": value("strength") if value("request_type") == "Img2ImgRequest" else None,
        "Clip skip": 2,
        "ENSD": _ENSD,
        "Version": PROGRAM,
    }
    left_out = [*labels.left_out, *(title for name, title in _EXTRAS.items() if value(name))]
    left_out += [f"the character {text!r}" for text in characters + other]
    negative = word(value("uc")) or base_uc
    return Settings(PROGRAM, as_a1111(prompt), as_a1111(negative), known(parameters), tuple(dict.fromkeys(left_out)))


def _schedule(name: str) -> str:
    return "" if name in ("native", "default") else name


def _captions(prompt: Any) -> tuple[str, list[str]]:
    """The main text of a prompt of version 4, and those of its characters."""
    caption = table(table(prompt).get("caption"))
    characters = (word(table(each).get("char_caption")) for each in rows(caption.get("char_captions")))
    return word(caption.get("base_caption")), [text for text in characters if text]


def as_a1111(prompt: str) -> str:
    r"""A prompt with NovelAI's emphasis in A1111's spelling; one whose brackets do not pair keeps them as letters.

    >>> as_a1111("{{cat}}, [dog], a (bird), 1.3::fish::")
    '((cat:1.05):1.05), (dog:0.952), a \\(bird\\), (fish:1.3)'
    """
    text = _ROUND.sub(lambda match: f"\\{match[0]}", prompt)
    if not _is_paired(text):
        return text.replace("[", r"\[").replace("]", r"\]")
    for opening, closing in _OPENING.items():
        text = text.replace(opening, "(").replace(closing, f":{_WEIGHTS[closing]})")
    return _NUMBERED.sub(lambda match: f"({match[2]}:{match[1]})" if match[2].strip() else match[2], text)


def _is_paired(text: str) -> bool:
    waiting: list[str] = []
    for each in text:
        if each in _OPENING:
            waiting.append(_OPENING[each])
        elif each in _WEIGHTS and (not waiting or waiting.pop() != each):
            return False
    return not waiting
