"""The blocks of a UNet by the names that block-weighted merges give them: BASE, IN00..IN11, M00, OUT00..OUT11.

What stands before the first block counts to IN00, what stands behind the last one to the last OUT; all that is no UNet
is BASE.
"""

import math
import re
from collections.abc import Iterable, Mapping

from pochade.errors import UsageError
from pochade.kinds.components import IN_CHECKPOINT

BASE = "BASE"
_LIVE, _AVERAGED = IN_CHECKPOINT
_BLOCK = re.compile(rf"(?:{re.escape(_LIVE)}|{re.escape(_AVERAGED)})(input|middle|output)_blocks?\.?(\d{{0,4}}(?!\d))")
_OUTPUT = re.compile(rf"{re.escape(_LIVE)}output_blocks\.(\d{{1,4}}(?!\d))")
_LAST = 11
_SUB_BLOCK = 1  # in a moving average's name, the last digit counts inside a block


def blocks_of(names: Iterable[str]) -> dict[str, str]:
    """Return the block of every tensor of a checkpoint."""
    names = list(names)
    outputs = [int(found[1]) for found in map(_OUTPUT.match, names) if found]
    return {name: _block(name, max(outputs, default=_LAST)) for name in names}


def _block(name: str, last: int) -> str:
    if not name.startswith(IN_CHECKPOINT):
        return BASE
    found = _BLOCK.match(name)
    if found is None:
        after = name.removeprefix(_LIVE).removeprefix(_AVERAGED)
        return f"OUT{last:02}" if after.startswith("out") else "IN00"
    if found[1] == "middle":
        return "M00"
    digits = found[2] if name.startswith(_LIVE) else found[2][:-_SUB_BLOCK]  # none in odd names
    return f"{'IN' if found[1] == 'input' else 'OUT'}{int(digits or 0):02}"


def block_weights(text: str, blocks: Iterable[str]) -> dict[str, float]:
    """Return the weight of every block that a text gives one.

    Either one number per block, BASE first, in order and separated by commas; or names with numbers, of which each may
    stand for all blocks that begin so: `IN=0.3, OUT05=0.7`. Raises UsageError where it is neither.
    """
    order = _in_order(set(blocks))
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if parts and all("=" in part for part in parts):
        return _named(dict(part.split("=", 1) for part in parts), order)
    if len(parts) != len(order):
        raise UsageError(
            f"--block-weights has {len(parts)} numbers; these models have {len(order)}: {' '.join(order)}."
        )
    return {name: _number(part) for name, part in zip(order, parts, strict=True)}


def _named(given: Mapping[str, str], order: list[str]) -> dict[str, float]:
    weights: dict[str, float] = {}
    for name, number in given.items():
        meant = [block for block in order if block.startswith(name.strip().upper())]
        if not meant:
            raise UsageError(f"--block-weights: there is no block named '{name.strip()}'; there are {' '.join(order)}.")
        weights |= dict.fromkeys(meant, _number(number))
    return weights


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UsageError(f"--block-weights: {text.strip()!r} is no number.")
    return number


def _in_order(blocks: set[str]) -> list[str]:
    rank = {"B": 0, "I": 1, "M": 2, "O": 3}
    return sorted(blocks | {BASE}, key=lambda name: (rank[name[0]], name))
