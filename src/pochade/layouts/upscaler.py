"""Names of an RRDB upscaler: new (Real-ESRGAN's `body.0.rdb1.conv1`), old (the first ESRGAN's row of numbered layers,
`model.1.sub.0.RDB1.conv1.0`) and BSRGAN's (`RRDB_trunk.0.RDB1.conv1`).
"""

import re
from collections.abc import Iterable

from pochade.files import Weights
from pochade.layouts.renaming import renamed, reverse

_BLOCK = re.compile(r"(?:body|RRDB_trunk|model\.1\.sub)\.(\d{1,4})\.(?:rdb|RDB)[123]\.")
_ROW = re.compile(r"model\.(\d{1,4})\.weight")
_UP = re.compile(r"conv_up(\d)\.weight")
_NOT_UP = 3  # of the old naming's row: the first convolution and the two after enlarging
_BSRGAN = {"trunk_conv": "conv_body", "HRconv": "conv_hr"} | {f"upconv{number}": f"conv_up{number}" for number in "123"}


def to_new(names: Iterable[str]) -> dict[str, str]:
    """Return the new name of every name, be it old, BSRGAN's or new already."""
    names = list(names)
    rows = sum(bool(_ROW.fullmatch(name)) for name in names)
    blocks = _blocks(names)
    bsrgan = {f"RRDB_trunk.{block}.RDB{row}": f"body.{block}.rdb{row}" for block in blocks for row in (1, 2, 3)}
    return renamed(names, _old_modules(blocks, max(0, rows - _NOT_UP)) | bsrgan | _BSRGAN)


def to_old(names: Iterable[str]) -> dict[str, str]:
    """Return the first ESRGAN's name of every new name."""
    names = list(names)
    ups = sum(bool(_UP.fullmatch(name)) for name in names)
    return renamed(names, reverse(_old_modules(_blocks(names), ups)))


def in_new_names(weights: Weights) -> Weights:
    """Return an upscaler in the new names, tensor by tensor and still lazy."""
    arrays = {new: weights.lazy(old) for old, new in to_new(weights).items()}
    return Weights(arrays, weights.metadata, weights.path, weights.format, weights.extra)


def _blocks(names: Iterable[str]) -> list[int]:
    return sorted({int(found[1]) for found in map(_BLOCK.match, names) if found})


def _old_modules(blocks: list[int], ups: int) -> dict[str, str]:
    """Return the table from old to new modules: each enlargement is a resize, a convolution and an activation."""
    end = 3 * ups + 4
    table = {"model.0": "conv_first", f"model.{end - 2}": "conv_hr", f"model.{end}": "conv_last"}
    table |= {f"model.{3 * number}": f"conv_up{number}" for number in range(1, ups + 1)}
    table[f"model.1.sub.{max(blocks, default=-1) + 1}"] = "conv_body"
    for block in blocks:
        for row in (1, 2, 3):
            old, new = f"model.1.sub.{block}.RDB{row}", f"body.{block}.rdb{row}"
            table |= {f"{old}.conv{number}.0": f"{new}.conv{number}" for number in range(1, 6)}
            table[f"{old}.conv1x1"] = f"{new}.conv1x1"  # ESRGAN+ has them
    return table
