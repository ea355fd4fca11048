"""Block weights of a LoRA: how much it counts in each block of the UNet, and as BASE in the text encoders.

They are written as numbers with commas between, or as the name of a choice. Both are those of the web UI's extension
LoRA Block Weight, which tells by the count what blocks are meant: 17 and 26 for SD 1 and 2, 12 and 20 for SDXL, the
smaller ones only those blocks in which plain LoRAs have modules. A block without a number counts nothing.
"""

import math
from collections.abc import Mapping, Sequence

from pochade.errors import UnknownNameError, UsageError
from pochade.families import Family

BASE, MIDDLE = "BASE", "M00"


def _blocks(inputs: Sequence[int], outputs: Sequence[int]) -> tuple[str, ...]:
    return (BASE, *(f"IN{each:02}" for each in inputs), MIDDLE, *(f"OUT{each:02}" for each in outputs))


_PLAIN = _blocks((1, 2, 4, 5, 7, 8), range(3, 12))
_PLAIN_DEEP = _blocks((4, 5, 7, 8), range(6))
_BY_COUNT = {
    len(names): names for names in (_PLAIN_DEEP, _PLAIN, _blocks(range(9), range(9)), _blocks(range(12), range(12)))
}
# S is near the picture's surface, D is deep. SDXL, whose blocks are others, has the same choices of its own.
_CHOICES: dict[str, tuple[str, str]] = {
    "INS": ("IN01 IN02 IN04", "IN04 IN05"),
    "IND": ("IN05 IN07 IN08", "IN07 IN08"),
    "INALL": ("IN01 IN02 IN04 IN05 IN07 IN08", "IN04 IN05 IN07 IN08"),
    "MIDD": ("IN05 IN07 IN08 M00 OUT03 OUT04 OUT05 OUT06", "IN07 IN08 M00 OUT00 OUT01 OUT02"),
    "OUTD": ("OUT03 OUT04 OUT05 OUT06", "OUT00 OUT01 OUT02"),
    "OUTS": ("OUT07 OUT08 OUT09 OUT10 OUT11", "OUT03 OUT04 OUT05"),
    "OUTALL": (" ".join(_PLAIN[8:]), " ".join(_PLAIN_DEEP[6:])),
}
_EVERYWHERE = {"NONE": 0.0, "ALL": 1.0}


def check_blocks(text: str, owner: str = "") -> None:
    """Raise UsageError for block weights that cannot be read."""
    if not text or text in _EVERYWHERE or text in _CHOICES:
        return
    if "," not in text:
        raise UnknownNameError("choice of blocks", text, [*_EVERYWHERE, *_CHOICES])
    _numbers(text, owner)


class BlockWeights:
    """The factor of each block, by its name; without a text every one is 1."""

    def __init__(self, text: str, family: Family) -> None:
        self._elsewhere = _EVERYWHERE.get(text, 0.0) if text else 1.0
        self._factors: Mapping[str, float] = {}
        if text in _CHOICES:
            self._factors = dict.fromkeys((BASE, *_CHOICES[text][family.deep].split()), 1.0)
        elif text and text not in _EVERYWHERE:
            self._factors = _numbers(text)

    def of(self, block: str) -> float:
        """The factor of a block."""
        return self._factors.get(block, self._elsewhere)


def _numbers(text: str, owner: str = "") -> dict[str, float]:
    parts = text.split(",")
    names = _BY_COUNT.get(len(parts))
    if names is None:
        raise UsageError(f"blocks{owner} has {len(parts)} numbers; it must have 17 or 26, or for SDXL 12 or 20.")
    return {name: _number(part, owner) for name, part in zip(names, parts, strict=True)}


def _number(text: str, owner: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UsageError(f"blocks{owner} holds {text.strip()!r}, which is no number.")
    return number
