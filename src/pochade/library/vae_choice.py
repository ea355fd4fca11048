"""Which VAE goes with a checkpoint when none is named: the one that the user put beside it, as in A1111."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from pochade.errors import PochadeError, UsageError
from pochade.library.find import find_model, models_below
from pochade.library.places import places_of

AUTO = "auto"
OWN = "none"
"""The model's own VAE."""
_AUTOMATIC = ("", AUTO, "automatic")
_BESIDE = (".vae.safetensors", ".vae.ckpt", ".vae.pt")
_IN_FOLDER = {".safetensors", ".ckpt", ".pt"}


def is_choice(name: str) -> bool:
    """Tell whether it is a word for the model's own VAE, or the one that goes with it, instead of a name."""
    return name.casefold() in (*_AUTOMATIC, OWN)


def vae_for(model: Path | None, name: str = "", folders: Sequence[Path] = ()) -> Path | None:
    """The VAE file called `name`, or for "auto" the one that goes with a model; None is the model's own.

    What a model's `<stem>.json` says under "vae" comes first, then a VAE whose file name begins with the model's:
    beside it if it ends in .vae.safetensors, .vae.ckpt or .vae.pt, or in a VAE folder. Of several the shortest name
    counts, so that `model.vae.pt` goes before `model-2.vae.pt`. "none" is always the model's own.
    """
    if name.casefold() not in _AUTOMATIC:
        return None if name.casefold() == OWN else find_model(name, folders, "vae")
    if model is None or not model.is_file():
        return None
    preferred = _preferred(model)
    if preferred.casefold() not in _AUTOMATIC:
        return None if preferred.casefold() == OWN else _named_by(model, preferred, folders)
    found = [path for path in _candidates(model, folders) if path.name.startswith(model.stem) and path != model]
    return min(found, key=lambda path: (len(path.name), str(path)), default=None)


def _candidates(model: Path, folders: Sequence[Path]) -> Iterator[Path]:
    """What may be a model's VAE, by place and name."""
    yield from (path for path in model.parent.iterdir() if path.name.lower().endswith(_BESIDE))
    for folder in places_of(folders, "vae"):
        yield from (path for path in models_below(folder) if path.suffix.lower() in _IN_FOLDER)


def _preferred(model: Path) -> str:
    """The VAE that the user chose for a model in A1111; empty without a choice."""
    path = model.with_suffix(".json")
    try:
        notes = json.loads(path.read_bytes()) if path.is_file() else {}
    except (OSError, ValueError):
        return ""  # other programs put files of that name there too
    chosen = notes.get("vae") if isinstance(notes, dict) else None
    return chosen if isinstance(chosen, str) else ""


def _named_by(model: Path, name: str, folders: Sequence[Path]) -> Path:
    try:
        return find_model(name, [model.parent, *folders], "vae")
    except PochadeError as error:
        place = model.with_suffix(".json")
        raise UsageError(f"{place} asks for the VAE {name!r}. {error} Choose one with --vae NAME, or none.") from error
