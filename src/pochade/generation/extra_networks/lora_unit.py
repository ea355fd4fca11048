"""One LoRA of a request: how strongly it counts, where in the networks and in which steps.

The words are those of the web UI's tags and of its extension LoRA Block Weight.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any, ClassVar, NamedTuple, Self

from pochade.errors import UsageError, shown
from pochade.generation.extra_networks.lora_blocks import check_blocks
from pochade.generation.record import Record, file_name, read_field
from pochade.generation.rules import option
from pochade.prompts.extra_networks import Tag

KINDS = ("lora", "lyco")
"""What tags for LoRAs begin with."""
WORDS = ("te", "unet", "dyn", "lbw", "start", "stop", "step")
"""What may be said of a LoRA by name."""

_FIELDS = {"te": "text_weight", "unet": "weight", "dyn": "rank", "lbw": "blocks", "start": "start", "stop": "stop"}
_POSITIONS = ("te", "unet", "dyn")
_STEPS = re.compile(r"([\d.]+)-([\d.]+)")
_ADDED = re.compile(r"AddNet Model (\d{1,3})")
_NAME = re.compile(r"(.*?)\s*(?:\(([0-9a-f]+)\))?", re.DOTALL)
_HASH_LENGTH = 12  # a shorter one is of an old kind
_STRONGEST = 1000


@dataclass(frozen=True)
class LoraUnit(Record):
    """A LoRA by name or path, with its settings.

    It acts from the step after `start` steps on, until `stop` are done; a number below 1 is a share of the steps.

    >>> LoraUnit("fox", weight=0.8).text_strength
    0.8
    """

    title: ClassVar[str] = "LoRA"

    name: str = option("", "LoRA, by name or path.")
    hash: str = option("", "First 12 hex digits of its hash, as the web UI counts it.")
    weight: float = option(1.0, "How strongly it counts in the UNet.", least=-_STRONGEST, most=_STRONGEST)
    text_weight: float | None = option(
        None, "The same in the text encoders, if it is another.", least=-_STRONGEST, most=_STRONGEST
    )
    blocks: str = option("", "Weights of the UNet's blocks, or the name of a choice of them.")
    rank: int | None = option(None, "Take its first ranks alone.", least=1, most=10_000)
    start: float = option(0.0, "Steps after which it begins to act in the UNet.", least=0, most=10_000)
    stop: float | None = option(None, "Steps after which it ends to act there.", least=0, most=10_000)

    def validate(self, owner: str = "") -> Self:
        """Return the same record, or say which field cannot be as it is; `owner` tells whose it is."""
        super().validate(owner)
        if not self.name:
            raise UsageError(f"name{owner} is missing; name the LoRA's file.")
        check_blocks(self.blocks, owner)
        return self

    @property
    def text_strength(self) -> float:
        """How strongly it counts in the text encoders."""
        return self.weight if self.text_weight is None else self.text_weight

    def acts(self, done: int, steps: int) -> bool:
        """Whether it acts in the UNet when so many steps are done. It begins with the first step if `start` is 1."""
        stop = steps if self.stop is None else _steps(self.stop, steps)
        return _steps(self.start, steps) <= max(done, 1) and (self.stop is None or done < stop)

    def portable(self) -> Self:
        """The same record with a file name in place of a path."""
        return replace(self, name=file_name(self.name))


def _steps(number: float, steps: int) -> int:
    return max(1, round(number * steps)) if 0 < number < 1 else int(number)


def unit_of(items: Sequence[str], named: Mapping[str, str]) -> LoraUnit:
    """The LoRA of a name and numbers in the order of a tag, and of what is said by name.

    Where only the text encoders' weight is given, it is the UNet's too. Raises UsageError for what cannot be.
    """
    if not items or not items[0].strip():
        raise UsageError("It names no LoRA.")
    said = dict(zip(_POSITIONS, items[1:], strict=False)) | _with_steps(named)
    said["unet"] = said.get("unet", said.get("te", "1"))
    said["te"] = said.get("te", "1")
    values = {field: read_field(LoraUnit, field, said[word].strip()) for word, field in _FIELDS.items() if word in said}
    return LoraUnit(items[0].strip(), **values).validate()


def _with_steps(named: Mapping[str, str]) -> dict[str, str]:
    """The words with `step=a-b` as its two numbers."""
    if "step" not in named:
        return dict(named)
    found = _STEPS.fullmatch(named["step"].strip())
    if found is None:
        raise UsageError(f"step is {named['step']!r}; it must be two numbers such as 5-15.")
    return {**named, "start": found[1], "stop": found[2]}


class Tagged(NamedTuple):
    """The LoRAs that tags ask for, and what to tell of tags that cannot be followed."""

    units: tuple[LoraUnit, ...]
    notes: tuple[str, ...]


def tagged(tags: Sequence[Tag]) -> Tagged:
    """Read the tags that are for LoRAs.

    Where a name stands in several tags, the last one's numbers count for each of them: A1111 keeps one set per name.
    """
    units: list[LoraUnit] = []
    notes: list[str] = []
    for tag in tags:
        if tag.kind.casefold() in KINDS:
            try:
                units.append(unit_of(tag.positional, tag.named))
            except UsageError as error:
                said = f"<{tag.kind}:{':'.join(tag.items)}>"
                notes.append(f"{shown(said)} has no effect. {error}")
    last = {unit.name: unit for unit in units}
    return Tagged(tuple(last[unit.name] for unit in units), tuple(notes))


def added_parameters(units: Sequence[LoraUnit]) -> dict[str, Any]:
    """The parameters that the web UI's extension Additional Networks would write."""
    found: dict[str, Any] = {"AddNet Enabled": True} if units else {}
    for number, unit in enumerate(units, 1):
        name = PurePath(file_name(unit.name)).stem
        found |= {
            f"AddNet Module {number}": "LoRA",
            f"AddNet Model {number}": f"{name}({unit.hash})" if unit.hash else name,
            f"AddNet Weight A {number}": unit.weight,
            f"AddNet Weight B {number}": unit.text_strength,
        }
    return found


class Recalled(NamedTuple):
    """LoRAs of a text's parameters, and the names of those parameters."""

    units: tuple[LoraUnit, ...]
    names: frozenset[str]


def recalled_loras(parameters: Mapping[str, str]) -> Recalled:
    """The LoRAs beside the prompt that a text's parameters tell of, without those that cannot be read."""
    numbers = sorted(int(found[1]) for found in map(_ADDED.fullmatch, parameters) if found)
    units = {number: unit for number in numbers if (unit := _recalled(parameters, number))}
    kinds = ("Module", "Model", "Weight A", "Weight B")
    names = {f"AddNet {kind} {number}" for kind in kinds for number in units}
    return Recalled(tuple(units.values()), frozenset(names | ({"AddNet Enabled"} if units else set())))


def _recalled(parameters: Mapping[str, str], number: int) -> LoraUnit | None:
    name, unet, text = (parameters.get(f"AddNet {each} {number}", "") for each in ("Model", "Weight A", "Weight B"))
    found = _NAME.fullmatch(name)
    if found is None or parameters.get(f"AddNet Module {number}", "LoRA") != "LoRA":
        return None
    try:
        unit = unit_of([found[1], text or unet or "1", unet or "1"], {})
    except UsageError:
        return None
    return replace(unit, hash=(found[2] or "")[:_HASH_LENGTH] if len(found[2] or "") >= _HASH_LENGTH else "")
