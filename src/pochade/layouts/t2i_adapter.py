"""Names of a T2I-Adapter: the original has its blocks in one row, diffusers has them level by level."""

import re
from collections.abc import Iterable

_PREFIX = "adapter."
_BLOCK = re.compile(r"body\.(\d+)\.resnets\.(\d+)\.")
_LEVEL = re.compile(r"body\.(\d+)\.in_conv\.")
_ROWS = 2  # blocks of one level, in the full form
_LIGHT = "body.0.out_conv.weight"


def to_original(names: Iterable[str]) -> dict[str, str]:
    """Return the original name of every name, which may be the original's already."""
    plain = {name: name.removeprefix(_PREFIX) for name in names}
    if _LIGHT in plain.values():
        return {name: _BLOCK.sub(r"body.\1.body.\2.", each) for name, each in plain.items()}
    if not any(map(_BLOCK.match, plain.values())):
        return plain
    return {name: _in_a_row(each) for name, each in plain.items()}


def _in_a_row(name: str) -> str:
    name = _LEVEL.sub(lambda found: f"body.{_ROWS * int(found[1])}.in_conv.", name)
    return _BLOCK.sub(lambda found: f"body.{_ROWS * int(found[1]) + int(found[2])}.", name)
