"""The text after `--control`: one ControlNet with its picture and settings."""

import re
from typing import Any

from pochade.errors import UnknownNameError, UsageError
from pochade.generation.controlnet.control_unit import ControlUnit
from pochade.generation.record import read_field, rules_of
from pochade.generation.rules import shown

SETTINGS = tuple(name for name in rules_of(ControlUnit) if not name.endswith("_hash"))
_BETWEEN = re.compile(r",(?=\s*[\w-]+\s*=)")  # other commas belong to a file's name


def parse_control(text: str) -> ControlUnit:
    """Read NAME=VALUE pairs with commas between.

    >>> parse_control("model=canny.safetensors, image=a,b.png, weight=0.5").image
    'a,b.png'
    """
    values: dict[str, Any] = {}
    for pair in _BETWEEN.split(text):
        name, equals, value = (part.strip() for part in pair.partition("="))
        if not equals:
            example = "model=canny.safetensors,image=house.png,preprocessor=canny"
            raise UsageError(f"--control is {shown(text)}; it must be settings such as {example}.")
        name = name.replace("-", "_")
        if name not in SETTINGS:
            raise UnknownNameError("setting of a control", name, SETTINGS)
        if name in values:
            raise UsageError(
                f"--control names {name} twice, as {values[name]} and {value}; give --control twice for two."
            )
        values[name] = read_field(ControlUnit, name, value)
    return ControlUnit(**values)
