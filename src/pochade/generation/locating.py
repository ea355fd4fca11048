"""The files that a request names, looked up in the folders of models."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pochade.errors import UnknownNameError
from pochade.generation.controlnet.control_unit import NO_ANNOTATOR, ControlUnit
from pochade.generation.extra_networks.lora_unit import LoraUnit
from pochade.generation.request import Request

FILES = {
    "model": ("model_hash", "checkpoint"),
    "vae": ("vae_hash", "vae"),
    "refiner": ("refiner_hash", "checkpoint"),
    "hires_upscaler": ("", "upscaler"),
}
"""The fields that name a file, each with the field of the file's hash and its kind."""
_OLD_LENGTH = 8  # of a hash


def located(request: Request, folders: Sequence[Path]) -> Request:
    """The request with the paths of its files in place of their names."""
    controls = located_controls(request.controls, folders)
    paths: dict[str, Any] = {field: path_of(field, request, folders) for field in FILES}
    return replace(request, **paths, controls=controls, loras=_loras(request, folders))


def located_controls(units: Sequence[ControlUnit], folders: Sequence[Path]) -> tuple[ControlUnit, ...]:
    """Controls with the paths of their ControlNets and of their preprocessors' networks in place of names."""
    return tuple(
        replace(
            unit,
            model=_found(unit.model, unit.model_hash, folders, "controlnet"),
            annotator=annotator_path(unit, folders),
        )
        for unit in units
    )


def _loras(request: Request, folders: Sequence[Path]) -> tuple[LoraUnit, ...]:
    """The LoRAs beside the prompt; one that has another name by now is found by its hash."""
    if not request.loras:
        return ()
    from pochade.generation.extra_networks.lora_files import LoraFiles  # deferred: the help needs no library

    known = LoraFiles(folders)
    return tuple(replace(unit, name=str(known.path_of(unit.name, unit.hash))) for unit in request.loras)


def path_of(field: str, request: Request, folders: Sequence[Path]) -> str:
    """Where the file is that a field names; one that has another name by now is found by its hash, if that is known."""
    digest, kind = FILES[field]
    name = getattr(request, field)
    if not name or (field == "hires_upscaler" and _needs_no_file(request)) or (field == "vae" and _is_choice(name)):
        return str(name)
    return _found(name, getattr(request, digest) if digest else "", folders, kind)


def upscaler_path(name: str, folders: Sequence[Path]) -> str:
    """Where the upscaler's file is; one that needs no file, or has nowhere to be looked for, stays as it is called."""
    return name if not folders or _is_own(name) else _found(name, "", folders, "upscaler")


def annotator_path(unit: ControlUnit, folders: Sequence[Path]) -> str:
    """Where the network of a control's preprocessor is, whether it is named or not."""
    from pochade.library.annotators import annotator_for  # deferred with the rest

    return (
        unit.annotator if unit.annotator == NO_ANNOTATOR else annotator_for(unit.preprocessor, unit.annotator, folders)
    )


def _is_choice(name: str) -> bool:
    """Whether it is one of the words for a VAE that is no file's name."""
    from pochade.library.vae_choice import is_choice  # deferred with the rest

    return is_choice(name)


def without_old_hashes(recorded: Request, located: Request) -> Request:
    """What was recorded without hashes of the old kind that the files found have; no new hash equals one of those."""
    from pochade.files.hashes import legacy_hash  # deferred with the rest

    gone = {
        digest: ""
        for field, (digest, _) in FILES.items()
        if digest
        and _is_old(getattr(recorded, digest))
        and Path(getattr(located, field)).is_file()
        and legacy_hash(getattr(located, field)) == getattr(recorded, digest)
    }
    return replace(recorded, **gone)  # type: ignore[arg-type]  # mypy takes the hashes for every field


def _found(name: str, digest: str, folders: Sequence[Path], kind: str) -> str:
    from pochade.library import find_model  # deferred: the help needs no library

    try:
        return str(find_model(name, folders, kind))
    except UnknownNameError:
        found = _by_hash(digest, folders, kind) if digest else None
        if found is None:
            raise
        return str(found)


def _by_hash(digest: str, folders: Sequence[Path], kind: str) -> Path | None:
    from pochade.files.hashes import legacy_hash  # deferred with the rest
    from pochade.library import find_by_hash
    from pochade.library.find import models_of

    if not _is_old(digest):
        return find_by_hash(digest, folders, kind)
    paths = (path for _, path in models_of(folders, kind) if path.is_file())
    return next((path for path in paths if legacy_hash(path) == digest.lower()), None)


def _is_old(digest: str) -> bool:
    """Whether a hash is of A1111's old kind, made of a few bytes in the middle of the file."""
    return len(digest) == _OLD_LENGTH


def _needs_no_file(request: Request) -> bool:
    """Whether what enlarges before the second pass is Pochade's own, or not used at all."""
    if not request.draws_twice:
        return True
    from pochade.generation.hires import LATENT_MODES  # deferred: torch begins here

    upscaler = request.hires_upscaler
    return _is_own(upscaler) or upscaler.casefold() in {name.casefold() for name in LATENT_MODES}


def _is_own(upscaler: str) -> bool:
    from pochade.generation.pictures.upscalers import NAMES  # deferred: torch begins here

    return upscaler.casefold() in {name.casefold() for name in NAMES}
