"""What an axis does to prompts and LoRAs: words replaced or brought into another order, LoRAs put in or weighted."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePath

from pochade.errors import UsageError
from pochade.generation.extra_networks.lora_unit import KINDS, LoraUnit
from pochade.generation.record import file_name
from pochade.generation.request import Request
from pochade.generation.rules import shown
from pochade.prompts.extra_networks import Tag, extract

_TAG = re.compile(rf"<({'|'.join(KINDS)}):([^>]+)>", re.IGNORECASE)
_STRENGTH = re.compile(r"(.+?):([+-]?(?:\d+\.?\d*|\.\d+))")
_WEIGHTS = ("te", "unet")  # by name, or in this order behind the name of the LoRA


def replaced(request: Request, old: str, new: str) -> Request:
    """The request with other words in place of some, in the prompt and in the negative prompt."""
    if old not in request.prompt and old not in request.negative_prompt:
        raise UsageError(f"{shown(old)}, the first value, is what to replace, but neither prompt has it.")
    prompt, negative_prompt = (text.replace(old, new) for text in (request.prompt, request.negative_prompt))
    return replace(request, prompt=prompt, negative_prompt=negative_prompt)


def reordered(prompt: str, words: Sequence[str]) -> str:
    """A prompt with its words in the wanted order, each at a place where one of them was.

    >>> reordered("a, b, c, d", ["d", "b"])
    'a, d, c, b'
    """
    parts, rest = [], prompt
    for word in sorted(words, key=prompt.find):
        before, found, rest = rest.partition(word)
        if not found:
            raise UsageError(f"{shown(word)} is not in the prompt, or only inside of another word that is moved.")
        parts.append(before)
    return "".join(before + word for before, word in zip(parts, words, strict=True)) + rest


def with_lora(request: Request, lora: str) -> Request:
    """The request with one more LoRA: a tag for a name behind its prompts, or a file beside them.

    "fox:0.5" says the weight too, "none" is no LoRA.
    """
    if lora.casefold() == "none":
        return request
    strength = _STRENGTH.fullmatch(lora)
    name, weight = strength.groups() if strength else (lora, "1")
    if _is_file(name):
        return replace(request, loras=(*request.loras, LoraUnit(name, weight=float(weight))))
    tag = f"<lora:{name}:{weight}>"
    hires = request.hires_prompt and request.hires_prompt + tag
    return replace(request, prompt=request.prompt + tag, hires_prompt=hires)


def name_of_lora(lora: str) -> str:
    """The name or path of a LoRA on an axis, without its weight; empty for none."""
    strength = _STRENGTH.fullmatch(lora)
    return "" if lora.casefold() == "none" else strength[1] if strength else lora


def with_lora_weight(request: Request, weight: float, name: str = "") -> Request:
    """The request with this weight for all its LoRAs, or for the one that is named."""
    prompts = (request.prompt, request.hires_prompt)
    prompt, hires = (_TAG.sub(lambda match: _weighted(match, weight, name), text) for text in prompts)
    units = (
        replace(unit, weight=weight, text_weight=None) if _is_called(unit.name, name) else unit
        for unit in request.loras
    )
    return replace(request, prompt=prompt, hires_prompt=hires, loras=tuple(units))


def loras_of(request: Request) -> tuple[Tag | LoraUnit, ...]:
    """What says which LoRAs a request has: tags in its prompts, and those beside them."""
    tags = [*extract(request.prompt)[1], *extract(request.hires_prompt)[1]]
    return (*(tag for tag in tags if tag.kind.casefold() in KINDS), *request.loras)


def _weighted(match: re.Match[str], weight: float, name: str) -> str:
    tag = Tag(match[1], tuple(match[2].split(":")))
    own, *numbers = tag.positional or ("",)
    if not _is_called(own, name):
        return match[0]
    named = [f"{key}={value}" for key, value in tag.named.items() if key not in _WEIGHTS]
    weights = [f"{weight:g}"] * max(1, min(len(numbers), len(_WEIGHTS)))
    return f"<{tag.kind}:{':'.join([own, *weights, *numbers[len(_WEIGHTS) :], *named])}>"


def _is_called(lora: str, name: str) -> bool:
    """Whether a LoRA is the one that is meant; without a name all are."""
    names = {each.casefold() for each in (lora, file_name(lora), PurePath(file_name(lora)).stem)}
    return not name or name.casefold() in names


def _is_file(lora: str) -> bool:
    """Whether it is a file's name, or a path, which no tag can hold."""
    return "/" in lora or "\\" in lora or PurePath(lora).suffix.lower() in (".safetensors", ".sft", ".pt", ".ckpt")
