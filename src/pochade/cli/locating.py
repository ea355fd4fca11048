"""The files that a request names, looked up in the folders of models."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pochade.errors import UnknownNameError
from pochade.generation.request import Request

FILES = {
    "model": ("model_hash", "checkpoint"),
    "vae": ("vae_hash", "vae"),
    "refiner": ("refiner_hash", "checkpoint"),
    "hires_upscaler": ("", "upscaler"),
}
"""The fields that name a file, each with the field of the file's hash and its kind."""


def located(request: Request, folders: Sequence[Path]) -> Request:
    """The request with the paths of its files in place of their names."""
    controls = tuple(
        replace(unit, model=_found(unit.model, unit.model_hash, folders, "controlnet")) for unit in request.controls
    )
    paths: dict[str, Any] = {field: path_of(field, request, folders) for field in FILES}
    return replace(request, **paths, controls=controls)


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


def _is_choice(name: str) -> bool:
    """Whether it is one of the words for a VAE that is no file's name."""
    from pochade.library.vae_choice import is_choice  # deferred with the rest

    return is_choice(name)


def _found(name: str, digest: str, folders: Sequence[Path], kind: str) -> str:
    from pochade.library import find_by_hash, find_model  # deferred: the help needs no library

    try:
        return str(find_model(name, folders, kind))
    except UnknownNameError:
        found = find_by_hash(digest, folders, kind) if digest else None
        if found is None:
            raise
        return str(found)


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
