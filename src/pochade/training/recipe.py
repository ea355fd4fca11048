"""Recipes: all that decides a model made from nothing, read from a TOML file.

`pochade/picturebook/recipe.toml` is the one of the shipped model.
"""

import datetime
import tomllib
from dataclasses import asdict, field
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, PositiveInt, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from pochade.errors import MalformedFileError, MissingFileError, UsageError
from pochade.training.loop import Plan
from pochade.training.methods.native import NativeTraining
from pochade.training.methods.vae import VAETraining

_STRICT = ConfigDict(extra="forbid")
_UNKNOWN = "unexpected_keyword_argument"


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class Data:
    """Counts of pictures: for the autoencoder, for the UNet, and kept out of training; all are squares."""

    resolution: PositiveInt
    autoencoder_pictures: PositiveInt
    pictures: PositiveInt
    held_out: PositiveInt


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class VAESize:
    """Channels of the first level, their multiples per level, and residual blocks per level."""

    width: PositiveInt
    multipliers: tuple[PositiveInt, ...]
    blocks: PositiveInt = 2


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class UNetSize(VAESize):
    """`attention_levels` are those with transformers, counted from 0."""

    attention_levels: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class TextSize:
    """Channels and layers of the text encoder."""

    width: PositiveInt
    layers: PositiveInt


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class Networks:
    """Sizes of the three networks."""

    vae: VAESize
    unet: UNetSize
    text: TextSize


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class VAEStage(Plan):
    """One stage of the autoencoder's training; see VAETraining."""

    batch: PositiveInt
    crop: PositiveInt
    kind: Literal["l1", "mse"] = VAETraining.kind
    kl: float = VAETraining.kl


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class SketchStage(Plan):
    """The training of the text encoder alone; see SketchTraining."""

    batch: PositiveInt


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class NativeStage(Plan):
    """One stage of the training of UNet and text encoder; see NativeTraining. With `sketch`, that comes first."""

    batch: PositiveInt
    dropout: float = NativeTraining.dropout
    snr_gamma: float = NativeTraining.snr_gamma
    text_learns: bool = NativeTraining.text_learns
    sketch: SketchStage | None = None


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class Recipe:
    """A model's title, date and seed, its data, the sizes of its networks and the stages of its training in order."""

    title: str
    description: str = ""
    date: datetime.date | None = None
    seed: int
    data: Data
    networks: Networks
    vae: tuple[VAEStage, ...] = field(default=())
    native: tuple[NativeStage, ...] = field(default=())
    decoder: tuple[VAEStage, ...] = field(default=())

    @classmethod
    def read(cls, path: Path) -> "Recipe":
        """Read a TOML file. Raises FileError or UsageError naming the field that is wrong."""
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise MissingFileError(path, "there is no such recipe.") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise MalformedFileError(path, f"this is no TOML: {error}") from error
        try:
            return TypeAdapter(cls).validate_python(table)
        except ValidationError as error:
            raise UsageError(f"{path}: {_first_mistake(error)}") from error

    def fixed(self) -> dict[str, Any]:
        """What may not change between the stretches of one run: another value would not fit what is there already."""
        return {name: value for name, value in asdict(self).items() if name in ("seed", "data", "networks")}


def _first_mistake(error: ValidationError) -> str:
    """The first thing that is wrong, as one sentence with the field's path; misspelt fields before missing ones."""
    mistakes = error.errors(include_url=False)
    mistake = min(mistakes, key=lambda each: each["type"] != _UNKNOWN)
    place = ".".join(str(part) for part in mistake["loc"])
    if mistake["type"] == _UNKNOWN:
        return f"'{place}' is no field of a recipe; is it misspelt?"
    if mistake["type"] == "missing":
        return f"'{place}' is missing."
    return f"'{place}' is {mistake['input']!r:.60}: {mistake['msg'][:1].lower()}{mistake['msg'][1:]}."
