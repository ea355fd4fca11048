"""What an axis of a grid can change: A1111's axes under its names, any other field of a Request, LoRAs."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from pochade.errors import UnknownNameError, UsageError
from pochade.generation.record import file_name
from pochade.generation.request import NOTES, Request, kind_of, rules
from pochade.generation.styling import styled
from pochade.generation.xyz import values
from pochade.generation.xyz.prompt_changes import reordered, replaced, with_lora, with_lora_weight
from pochade.prompts.styles import Style

Styles = Mapping[str, Style]

# Fields under A1111's names, in its order; other fields go by their own names.
_FIELDS = {
    "Seed": "seed",
    "Var. seed": "variation_seed",
    "Var. strength": "variation_strength",
    "Steps": "steps",
    "Hires steps": "hires_steps",
    "CFG Scale": "cfg",
    "Image CFG Scale": "image_cfg",
    "Sampler": "sampler",
    "Hires sampler": "hires_sampler",
    "Checkpoint name": "model",
    "Negative Guidance minimum sigma": "ngms",
    "Sigma Churn": "s_churn",
    "Sigma min": "s_tmin",
    "Sigma max": "s_tmax",
    "Sigma noise": "s_noise",
    "Schedule type": "schedule",
    "Schedule min sigma": "sigma_min",
    "Schedule max sigma": "sigma_max",
    "Schedule rho": "rho",
    "Beta schedule alpha": "beta_alpha",
    "Beta schedule beta": "beta_beta",
    "Eta": "eta",
    "Clip skip": "clip_skip",
    "Denoising": "strength",
    "Initial noise multiplier": "noise_multiplier",
    "Extra noise": "extra_noise",
    "Hires upscaler": "hires_upscaler",
    "Cond. Image Mask Weight": "mask_weight",
    "VAE": "vae",
    "UniPC Order": "uni_pc_order",
    "Always discard next-to-last sigma": "discard_next_to_last",
    "SGM noise multiplier": "sgm_noise_multiplier",
    "Refiner checkpoint": "refiner",
    "Refiner switch at": "refiner_switch_at",
    "RNG source": "rng",
}
_ABSENT = {
    "Face restore": "no faces are restored",
    "Token merging ratio": "no tokens are merged",
    "Token merging ratio high-res": "no tokens are merged",
    "FP8 mode": "nothing is computed in 8 bits",
}
_LABELS = {field: label for label, field in _FIELDS.items()}
_NOT_ON_AXES = {"controls", "loras", "lora_hashes", *NOTES, *(name for name in rules() if name.endswith("_hash"))}
_BARE: dict[str, Callable[[Any], str]] = {
    **dict.fromkeys(("model", "refiner", "image"), file_name),
    **dict.fromkeys(("sampler", "prompt"), str),
}
"""Fields of which a legend shows the value alone."""
_FILES = {"vae", "hires_upscaler", "mask", "depth"}
LORA, _LORA_WEIGHT = "LoRA", "LoRA weight"
_NONE = "none"
_NOTHING = "(nothing)"  # in the place of words
FIRST, USUAL, LATER, LAST = range(4)


@dataclass(frozen=True)
class AxisKind:
    """What an axis can change.

    `read` makes values of a text, `apply` a request and a value and all values of the axis the request for that value,
    `show` a legend's text. `field` is the field of a Request that is set, if it is only one. `turn` says which axes act
    before others: a LoRA is there before it is weighted, and styles go around the prompt when that is done.
    """

    label: str
    read: Callable[[str], Sequence[Any]] = dataclasses.field(compare=False)
    apply: Callable[[Request, Any, Sequence[Any]], Request] = dataclasses.field(compare=False)
    show: Callable[[Any], str] = dataclasses.field(compare=False)
    field: str = ""
    turn: int = USUAL


def find_kind(name: str, known: Styles | None = None) -> AxisKind:
    """The kind of axis by A1111's label or by a field's name, in any case of letters; `known` are the styles.

    "LoRA weight fox" weighs the LoRA fox alone. Raises UnknownNameError with the nearest names, and UsageError for an
    axis of A1111 that has no use here.
    """
    folded = name.casefold()
    for kind in _changes(known):
        if folded == kind.label.casefold():
            return kind
    labels = {label.casefold(): field for label, field in _FIELDS.items()}
    field = labels.get(folded, folded.replace("-", "_").replace(" ", "_"))
    if field in rules() and field not in _NOT_ON_AXES:
        return _of_field(field)
    if folded.startswith(f"{_LORA_WEIGHT.casefold()} "):
        return _lora_weight(name[len(_LORA_WEIGHT) :].strip())
    for label, reason in _ABSENT.items():
        if folded == label.casefold():
            raise UsageError(f"{label} is an axis of A1111 that changes nothing here, because {reason}; leave it out.")
    others = [each for each in rules() if each not in _LABELS and each not in _NOT_ON_AXES]
    raise UnknownNameError("axis", name, [*(kind.label for kind in _changes(known)), *_FIELDS, *others])


def _changes(known: Styles | None) -> list[AxisKind]:
    """The kinds that do more than to set a field."""
    return [
        AxisKind("Nothing", lambda text: [None], lambda request, value, every: request, lambda value: ""),
        AxisKind("Prompt S/R", values.replacements, _replaced, lambda words: words or _NOTHING),
        AxisKind("Prompt order", values.orders, _ordered, ", ".join),
        AxisKind("Styles", partial(_style_names, known), partial(_styled, known), _labelled("Styles"), turn=LAST),
        AxisKind("Size", values.sizes, _sized, _labelled("Size")),
        AxisKind(LORA, values.words, lambda request, name, every: with_lora(request, name), file_name, turn=FIRST),
        _lora_weight(""),
    ]


def _of_field(field: str) -> AxisKind:
    label = _LABELS.get(field, field)
    show = _labelled(label, file_name if field in _FILES else _text)
    return AxisKind(label, partial(_values_of, field), partial(_with_field, field), _BARE.get(field, show), field)


def _lora_weight(name: str) -> AxisKind:
    label = f"{_LORA_WEIGHT} {name}".strip()
    return AxisKind(
        label,
        values.numbers,
        lambda request, weight, every: with_lora_weight(request, weight, name),
        _labelled(label),
        turn=LATER,
    )


def _values_of(field: str, text: str) -> Sequence[Any]:
    readers: dict[type, Callable[[str], Sequence[Any]]] = {
        int: values.whole_numbers,
        float: values.numbers,
        bool: values.switches,
        tuple: values.sizes,
        str: values.words,
    }
    found = readers[kind_of(field).type](text)
    for name in found if field in ("sampler", "hires_sampler", "schedule", "hires_schedule") else ():
        _check_sampling(field, name)
    return found


def _check_sampling(field: str, name: str) -> None:
    """See before anything is drawn that there is such a sampler, or such a schedule."""
    from pochade.sampling import choose, find_schedule  # deferred: torch begins here

    if field.endswith("sampler"):
        choose(name)
    else:
        find_schedule(name)


def _with_field(field: str, request: Request, value: Any, every: Sequence[Any]) -> Request:
    if field == "refiner" and value.casefold() == _NONE:
        value = ""
    return replace(request, **{field: value})


def _replaced(request: Request, words: str, every: Sequence[Any]) -> Request:
    return replaced(request, every[0], words)


def _ordered(request: Request, words: Sequence[str], every: Sequence[Any]) -> Request:
    return replace(request, prompt=reordered(request.prompt, words))


def _sized(request: Request, size: tuple[int, int], every: Sequence[Any]) -> Request:
    return replace(request, width=size[0], height=size[1])


def _style_names(known: Styles | None, text: str) -> list[str]:
    """Styles; quotes put several into one value."""
    if known is None:
        raise UsageError("its values are styles, but no file of styles is given (--styles-file FILE).")
    found = values.words(text)
    for name in (name for value in found for name in _parts(value)):
        if name not in known:
            raise UnknownNameError("style", name, known)
    return found


def _styled(known: Styles | None, request: Request, value: str, every: Sequence[Any]) -> Request:
    return styled(request, _parts(value), known or {})


def _parts(value: str) -> list[str]:
    return [] if value.casefold() == _NONE else [name.strip() for name in value.split(",")]


def _text(value: Any) -> str:
    if isinstance(value, float):
        return str(round(value, 8))
    return f"{value[0]}x{value[1]}" if isinstance(value, tuple) else str(value)


def _labelled(label: str, text: Callable[[Any], str] = _text) -> Callable[[Any], str]:
    return lambda value: f"{label}: {text(value)}"
