"""The text after `--lora`: one LoRA with its weights, in the words of a tag."""

import re

from pochade.errors import UnknownNameError, UsageError
from pochade.generation.extra_networks.lora_unit import WORDS, LoraUnit, unit_of
from pochade.generation.rules import shown

_DRIVE = re.compile(r"[A-Za-z]:[\\/]")  # of a path on Windows
_MOST = 2  # numbers without a name


def parse_lora(text: str) -> LoraUnit:
    """Read NAME, NAME:W or NAME:W:TEW, with TEW for the text encoders, and words such as unet=0.8 or lbw=OUTD.

    >>> parse_lora("fox:0.8:0.2").text_weight
    0.2
    """
    drive = _DRIVE.match(text)
    start = 2 if drive else 0
    name, *items = text[start:].split(":")
    numbers = [item for item in items if "=" not in item]
    pairs = (item.partition("=") for item in items if "=" in item)
    named = {word.strip(): value for word, _, value in pairs}
    for word in named:
        if word not in WORDS:
            raise UnknownNameError("setting of a LoRA", word, WORDS)
    if len(numbers) > _MOST:
        raise UsageError(f"--lora is {shown(text)}; write NAME:W or NAME:W:TEW, and all else by name, as in dyn=4.")
    try:
        return unit_of([text[:start] + name, *reversed(numbers * 2 if len(numbers) == 1 else numbers)], named)
    except UsageError as error:
        raise UsageError(f"--lora is {shown(text)}: {error}") from error
