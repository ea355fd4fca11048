"""Names of a ControlNet: half a UNet, with the hint's own layers and one outlet per block."""

import re
from collections.abc import Iterable

from pochade.layouts import unet
from pochade.layouts.renaming import renamed, reverse

_HINT = "input_hint_block"
_EMBEDDING = "controlnet_cond_embedding"
_HINTS = {
    f"{_HINT}.0": f"{_EMBEDDING}.conv_in",
    **{f"{_HINT}.{2 * number + 2}": f"{_EMBEDDING}.blocks.{number}" for number in range(6)},
    f"{_HINT}.14": f"{_EMBEDDING}.conv_out",
    "middle_block_out.0": "controlnet_mid_block",
}
_OUTLET = re.compile(r"(?:zero_convs\.(\d+)\.0|controlnet_down_blocks\.(\d+))\.")


def to_diffusers(names: Iterable[str]) -> dict[str, str]:
    """Return the diffusers name of every original name (both without a prefix)."""
    names = list(names)
    own = renamed(names, _HINTS | _outlets(names))
    return unet.to_diffusers(names) | {old: new for old, new in own.items() if old != new}


def to_original(names: Iterable[str]) -> dict[str, str]:
    """Return the original name of every diffusers name (both without a prefix)."""
    names = list(names)
    own = renamed(names, reverse(_HINTS | _outlets(names)))
    return unet.to_original(names) | {new: old for new, old in own.items() if old != new}


def _outlets(names: Iterable[str]) -> dict[str, str]:
    numbers = {found[1] or found[2] for found in map(_OUTLET.match, names) if found}
    return {f"zero_convs.{number}.0": f"controlnet_down_blocks.{number}" for number in numbers}
