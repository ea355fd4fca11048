"""A1111's parameters of a drawing over a picture, or over the masked part of one, and what they mean for a Request."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pochade.generation.request import Request

_SOFT = {
    "soft_power": "Soft inpainting schedule bias",
    "soft_scale": "Soft inpainting preservation strength",
    "soft_detail": "Soft inpainting transition contrast boost",
    "soft_mask_influence": "Soft inpainting mask influence",
    "soft_threshold": "Soft inpainting difference threshold",
    "soft_contrast": "Soft inpainting difference contrast",
}
# Fields that are read as they are written.
NAMES = {
    "image_cfg": "Image CFG scale",
    "mask_weight": "Conditional mask weight",
    "soft": "Soft inpainting enabled",
    **_SOFT,
    "mask_blur": "Mask blur",
    "padding": "Masked area padding",
    "fill": "Masked content",
    "noise_multiplier": "Noise multiplier",
}
SPECIAL = {"Mask mode", "Inpaint area"}  # parameters that `recall_picture` reads

_INVERTED = "Inpaint not masked"
_ONLY_MASKED = "Only masked"
_MARKS = ("Soft inpainting enabled", "Mask mode", "Mask blur", "Inpaint area", "Masked content")


@dataclass(frozen=True)
class RunFacts:
    """What A1111 writes down of a run that a request does not tell.

    `variant` is the name of the model's branch of its family, `has_blank_mask` whether the mask covers nothing,
    `embedding_hashes` the embeddings that the prompts name, with their hashes.
    """

    variant: str = "base"
    has_blank_mask: bool = False
    embedding_hashes: str = ""


def draws_over(request: Request) -> bool:
    """Whether a request begins with a picture."""
    return bool(request.image or request.image_hash)


def picture_parameters(request: Request, facts: RunFacts) -> dict[str, Any]:
    """What a special model is told of the picture, and how the mask is used if there is one."""
    is_edited = facts.variant == "instruct-pix2pix" and draws_over(request)
    is_masked = draws_over(request) and bool(request.mask or request.mask_hash)
    return {
        "Image CFG scale": request.image_cfg if is_edited else None,
        "Conditional mask weight": request.mask_weight if facts.variant == "inpainting" else None,
        **(_soft(request) if is_masked and request.soft else {}),
        **(_mask(request, facts) if is_masked else {}),
    }


def _soft(request: Request) -> dict[str, Any]:
    values = vars(request)
    return {"Soft inpainting enabled": True} | {name: _shortest(values[field]) for field, name in _SOFT.items()}


def _shortest(number: float) -> float:
    """A whole number without its point, as A1111 writes those of its sliders."""
    return int(number) if number.is_integer() else number


def _mask(request: Request, facts: RunFacts) -> dict[str, Any]:
    """The use of the mask. Where only the masked part is wanted, a blank mask counts as none from the blur on."""
    is_even = request.mask_blur_y in (None, request.mask_blur)
    is_dropped = request.only_masked and facts.has_blank_mask
    is_part = request.only_masked and not is_dropped
    is_filled = request.fill != "original" and not is_dropped
    return {
        "Mask mode": _INVERTED if request.invert_mask else None,
        "Mask blur": request.mask_blur if request.mask_blur and is_even else None,
        "Inpaint area": _ONLY_MASKED if is_part else None,
        "Masked area padding": request.padding if is_part else None,
        "Masked content": request.fill if is_filled else None,
    }


def noise_parameters(request: Request) -> dict[str, Any]:
    """How the first noise over a picture is changed."""
    is_changed = draws_over(request) and request.noise_multiplier != 1
    return {"Noise multiplier": request.noise_multiplier if is_changed else None}


def recall_picture(found: Mapping[str, Any], mentioned: Mapping[str, str]) -> dict[str, Any]:
    """Fields that follow from several parameters or from their absence."""
    values: dict[str, Any] = {
        "invert_mask": found["Mask mode"] == _INVERTED,
        "only_masked": found["Inpaint area"] == _ONLY_MASKED,
    }
    if had_mask(mentioned) and "Mask blur" not in mentioned:
        values["mask_blur"] = 0
    return values


def had_mask(mentioned: Mapping[str, str]) -> bool:
    """Whether a text tells of a mask. One that was used as it is leaves no trace."""
    return any(name in mentioned for name in _MARKS)
