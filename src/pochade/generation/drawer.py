"""Requests drawn one after the other, with one model at a time."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pochade.events import Event
from pochade.generation.pictures.inputs import Inputs
from pochade.generation.pictures.picture_folders import check_mask, with_partners
from pochade.generation.request import Request
from pochade.library import find_model, vae_for
from pochade.library.hashes import mark_of

if TYPE_CHECKING:
    from pochade.generation.pipeline import Pipeline


class Drawer:
    """Draws with the model and the VAE that each request names, and keeps them until one names others."""

    def __init__(self, folders: Sequence[Path] = ()) -> None:
        self._folders = folders
        self._needs: tuple[object, ...] = ()
        self._pipeline: Pipeline | None = None

    def run(self, request: Request, inputs: Inputs | None = None) -> Iterator[Event]:
        """What happens while a request is drawn."""
        yield from self.pipeline(request).run(request, inputs)

    def pipeline(self, request: Request) -> "Pipeline":
        """The loaded model for a request; a file that has changed since is loaded anew."""
        names = (request.model, request.vae)
        needs = (*names, *map(_mark, names), request.device, request.dtype, request.memory)
        if self._pipeline is None or needs != self._needs:
            self._pipeline = None  # before the next one is loaded, which may fail
            self._pipeline, self._needs = pipeline_for(request, self._folders), needs
        return self._pipeline

    def release(self) -> None:
        """Let the model go, and its memory."""
        self._pipeline = None


def opened(request: Request) -> tuple[Request, Inputs]:
    """The request with files in place of folders of masks, and the pictures that it begins with.

    Raises FileError for a picture that cannot be used.
    """
    request = with_partners(request)
    inputs = Inputs.of(request)
    check_mask(request, inputs)
    return request, inputs


def _mark(name: str) -> object:
    """What tells that a file has not changed; None for a name that is no path."""
    try:
        return mark_of(os.stat(name))
    except OSError:
        return None


def pipeline_for(request: Request, folders: Sequence[Path]) -> "Pipeline":
    """Load the model and the VAE that a request names."""
    model = find_model(request.model, folders) if request.model else None
    vae = vae_for(model, request.vae, folders)
    from pochade.generation.pipeline import Pipeline  # deferred: names are looked up before torch is loaded

    device, dtype = request.device, request.dtype
    return Pipeline.load(model, vae=vae, device=device, dtype=dtype, memory=request.memory, folders=folders)
