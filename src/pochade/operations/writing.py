"""Write what a verb made, in the container that the target's name tells."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from pochade.errors import UsageError
from pochade.events import Event
from pochade.files import Weights
from pochade.files.saving import saving
from pochade.files.torch_zip_writing import saving_torch
from pochade.kinds.prediction import STATED, V_MARKER, marker
from pochade.operations.casting import alone
from pochade.operations.folder import saving_folder

Format = Literal["safetensors", "ckpt", "diffusers"]
FORMATS: dict[str, Format] = {
    ".safetensors": "safetensors",
    ".ckpt": "ckpt",
    ".pt": "ckpt",
    ".pth": "ckpt",
    "": "diffusers",
}
_OF_OTHER_NUMBERS = ("modelspec.hash_sha256",)


def format_of(target: Path) -> Format:
    """Return the container that a name tells. Raises UsageError for a name that tells none."""
    if target.suffix.lower() not in FORMATS:
        known = ", ".join(filter(None, FORMATS))
        raise UsageError(
            f"{target}: its name tells no format; end it in one of {known}, or in nothing for a diffusers folder."
        )
    return FORMATS[target.suffix.lower()]


def check_target(target: Path, *sources: Path, format: Format | None = None) -> Format:
    """Return the container to write. Raises UsageError when a verb that reads these files and folders cannot write to
    `target`.
    """
    kind = format or format_of(target)
    for source in sources:
        if target.exists() and source.exists() and target.samefile(source):
            raise UsageError(f"{target} is one of the files to read; name another one for the result.")
        if source.is_dir() and source.resolve() in target.resolve().parents:
            raise UsageError(f"{target} lies in {source}, which is read; name a place outside for the result.")
    return kind


def keeps_metadata(format: Format) -> bool:
    """Tell whether a container has room for metadata."""
    return format != "ckpt"


def writing(
    target: Path, weights: Weights, metadata: Mapping[str, str], format: Format | None = None
) -> Iterator[Event]:
    """Write weights; yields Steps in megabytes and Saved at the end. Raises UsageError as format_of() does.

    A checkpoint has no room for metadata: of that, a marker tensor keeps what a model predicts.
    """
    metadata = {name: text for name, text in metadata.items() if name not in _OF_OTHER_NUMBERS}
    kind = format or format_of(target)
    extra = {name: value for name, value in weights.extra.items() if isinstance(value, int | str)}
    with alone():
        if kind == "safetensors":
            yield from saving(target, weights, metadata)
        elif kind == "diffusers":
            yield from saving_folder(target, weights, metadata)
        else:
            yield from saving_torch(target, _marked(weights, metadata), extra)


def _marked(weights: Weights, metadata: Mapping[str, str]) -> Weights:
    if V_MARKER in weights or not metadata.get(STATED, "").startswith("v"):
        return weights
    return Weights({name: weights.lazy(name) for name in weights} | marker(V_MARKER))
