"""One ControlNet of a Request: its file, the picture that it looks at, and how it counts.

The names, the defaults and the text form are those of the web UI's ControlNet extension.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any, ClassVar, Self

from pochade.errors import UsageError
from pochade.generation.record import Record, file_name, read_field
from pochade.generation.rules import option

BALANCED, PROMPT, CONTROL = MODES = (
    "Balanced",
    "My prompt is more important",
    "ControlNet is more important",
)
STRETCH, CROP, FILL = RESIZE_MODES = ("Just Resize", "Crop and Resize", "Resize and Fill")
THRESHOLDS = ("threshold_a", "threshold_b")
NO_ANNOTATOR = "none"
"""What stands for a preprocessor's network where it shall do without."""
BOTH_PASSES, FIRST_PASS, SECOND_PASS = PASSES = ("Both", "Low res only", "High res only")

_FIELDS = {
    "Module": "preprocessor",
    "Model": "model",
    "Weight": "weight",
    "Resize Mode": "resize_mode",
    "Low Vram": "low_vram",
    "Processor Res": "resolution",
    "Threshold A": "threshold_a",
    "Threshold B": "threshold_b",
    "Guidance Start": "start",
    "Guidance End": "end",
    "Pixel Perfect": "pixel_perfect",
    "Control Mode": "mode",
    "Hr Option": "hires",
}
_RESOLUTION = 512
_KEY = re.compile(r"ControlNet (\d{1,2})")
_BETWEEN = re.compile(r", (?=[A-Z][A-Za-z ]*: )")
_NAME = re.compile(r"(.*?)(?:\s*\[([0-9a-f]+)\])?", re.DOTALL)
_HASH_LENGTH = 10  # a shorter one is of the old kind, made of a part of the file


@dataclass(frozen=True)
class ControlUnit(Record):
    """A ControlNet by name or path, with its picture and settings.

    >>> ControlUnit("canny.safetensors", image="house.png", preprocessor="canny").weight
    1.0
    """

    title: ClassVar[str] = "control"

    model: str = option("", "ControlNet, by name or path.")
    model_hash: str = option("", "First 10 hex digits of its file's SHA-256.")
    image: str = option("", "Picture that it looks at, by path; the one to begin with if not given.")
    image_hash: str = option("", "First 10 hex digits of the SHA-256 of its pixels.")
    mask: str = option("", "Mask of that picture, by path: white is filled, by preprocessor inpaint_only.")
    preprocessor: str = option("none", "What makes the hint of the picture.")
    annotator: str = option(
        "", "File with the network of the preprocessor, by name or path; looked for if not given, 'none' for none."
    )
    annotator_hash: str = option("", "First 10 hex digits of its file's SHA-256; of several, joined by +.")
    threshold_a: float | None = option(None, "First setting of the preprocessor.", least=0, most=8192)
    threshold_b: float | None = option(None, "Second setting of the preprocessor.", least=0, most=8192)
    resolution: int = option(
        _RESOLUTION,
        "Shorter side that the preprocessor works at; 0 takes that of the drawn picture.",
        least=0,
        most=8192,
    )
    weight: float = option(1.0, "How strongly it counts.", least=0, most=2)
    start: float = option(0.0, "Share of the steps after which it begins.", least=0, most=1)
    end: float = option(1.0, "Share of the steps after which it ends.", least=0, most=1)
    mode: str = option(BALANCED, "What decides where prompt and control disagree.", choices=MODES)
    resize_mode: str = option(CROP, "How the hint is brought to the picture's size.", choices=RESIZE_MODES)
    hires: str = option(BOTH_PASSES, "Where it works when there are two passes.", choices=PASSES)
    low_vram: bool = option(False, "Keep it out of the graphics card's memory between steps.")

    def validate(self, owner: str = "") -> Self:
        """Return the same record, or say which field cannot be as it is; `owner` tells whose it is."""
        super().validate(owner)
        if not self.model:
            raise UsageError(f"model{owner} is missing; name the ControlNet's file.")
        if self.start > self.end:
            raise UsageError(f"start{owner} is {self.start}; it must not be above end, which is {self.end}.")
        self._check_settings(owner)
        return self

    def _check_settings(self, owner: str) -> None:
        """Refuse a preprocessor that is not known, and settings that it does not have."""
        from pochade import preprocessors  # deferred: requests without controls are read without numpy

        known = preprocessors.thresholds_of(self.preprocessor)
        for name in THRESHOLDS[len(known) :]:
            if vars(self)[name] is not None:
                raise UsageError(
                    f"{name}{owner} has no use; the preprocessor {self.preprocessor!r} has no such setting."
                )
        if self.annotator not in ("", NO_ANNOTATOR) and not preprocessors.networks_of(self.preprocessor):
            raise UsageError(f"annotator{owner} has no use; the preprocessor {self.preprocessor!r} needs no network.")
        if self.mask and "mask" not in preprocessors.options_of(self.preprocessor):
            raise UsageError(f"mask{owner} has no use; only the preprocessor inpaint_only looks at one.")

    def portable(self) -> Self:
        """The same record with file names in place of paths."""
        paths: dict[str, Any] = {name: file_name(vars(self)[name]) for name in ("model", "image", "mask", "annotator")}
        return replace(self, **paths)


def control_parameters(units: Sequence[ControlUnit]) -> dict[str, str]:
    """The parameters that the web UI's extension would write."""
    return {f"ControlNet {number}": _described(unit) for number, unit in enumerate(units)}


def _described(unit: ControlUnit) -> str:
    name = PurePath(file_name(unit.model)).stem
    values = vars(unit) | {
        "model": f"{name} [{unit.model_hash}]" if unit.model_hash else name,
        "resolution": unit.resolution or _RESOLUTION,
        "pixel_perfect": not unit.resolution,
    }
    pairs = ((name, values[field]) for name, field in _FIELDS.items())
    return ", ".join(f"{name}: {value}" for name, value in pairs if value is not None)


def recalled_controls(parameters: Mapping[str, str]) -> dict[str, ControlUnit]:
    """The controls among a text's parameters, by their names there, without those that Pochade cannot follow.

    Such a text does not tell what pictures they looked at.
    """
    names = sorted(filter(_KEY.fullmatch, parameters), key=lambda name: int(name.split()[1]))
    found = {name: _unit(parameters[name]) for name in names}
    return {name: unit for name, unit in found.items() if unit}


def _unit(text: str) -> ControlUnit | None:
    pairs = (part.partition(": ") for part in _BETWEEN.split(text))
    said = {_FIELDS[name]: value for name, _, value in pairs if name in _FIELDS}
    try:
        return ControlUnit(**_values(said)).validate()
    except UsageError:
        return None


def _values(said: dict[str, str]) -> dict[str, Any]:
    """The fields that such a text means. Raises UsageError for a preprocessor that is not known."""
    from pochade import preprocessors  # deferred with numpy

    preprocessor = preprocessors.canonical(said.pop("preprocessor", "none"))
    unknown = THRESHOLDS[len(preprocessors.thresholds_of(preprocessor)) :]
    is_perfect = said.pop("pixel_perfect", "") == "True"
    values = {name: read_field(ControlUnit, name, value) for name, value in said.items() if name not in unknown}
    named = _NAME.fullmatch(said.get("model", ""))
    assert named is not None  # it matches any text
    name, digest = named.groups(default="")
    return values | {
        "preprocessor": preprocessor,
        "model": "" if name == "None" else name,
        "model_hash": digest if len(digest) >= _HASH_LENGTH else "",
        "resolution": 0 if is_perfect else values.get("resolution", _RESOLUTION),
    }
