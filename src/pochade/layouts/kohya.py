"""Names of modules in kohya's LoRA files: diffusers paths with underscores for dots.

Underscores cannot be taken apart again, so the table is made from the model's own modules.
"""

from collections.abc import Iterable

from pochade.layouts import text, unet

UNET_PREFIX = "lora_unet_"
TEXT_PREFIX = "lora_te_"
_WEIGHT = ".weight"


def unet_modules(names: Iterable[str]) -> dict[str, str]:
    """Return the original UNet module for every kohya name; `names` are original tensors without a prefix."""
    return _modules(UNET_PREFIX, unet.to_diffusers(names))


def text_modules(names: Iterable[str]) -> dict[str, str]:
    """Return the text encoder's module for every kohya name; `names` are its tensors without a prefix."""
    return _modules(TEXT_PREFIX, text.to_diffusers(names))


def _modules(prefix: str, diffusers: dict[str, str]) -> dict[str, str]:
    return {
        prefix + new.removesuffix(_WEIGHT).replace(".", "_"): old.removesuffix(_WEIGHT)
        for old, new in diffusers.items()
        if new.endswith(_WEIGHT)
    }
