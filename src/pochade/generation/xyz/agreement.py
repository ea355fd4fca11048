"""Whether a picture that lies there already is the one that is wanted."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from pochade.errors import FileError, UsageError
from pochade.generation.pictures.inputs import Inputs
from pochade.generation.record import file_name
from pochade.generation.request import Request
from pochade.generation.xyz.prompt_changes import loras_of
from pochade.library import short_hash
from pochade.library.vae_choice import OWN
from pochade.prompts import comments

_PROMPTS = ("prompt", "negative_prompt", "hires_prompt", "hires_negative_prompt")
_OPEN = (None, "auto")
_DECIDED_LATER = {"controls", "hires_schedule"}  # by the model that is steered, by the first pass
_WITH_LORAS = ("prompt", "hires_prompt", "hires", "hires_size", "loras")
_SEEDS = ("seed", "variation_seed")


class Agreement:
    """Compares the records of pictures with requests, whose files have paths; LoRAs are in `folders`.

    A file is looked at once.
    """

    def __init__(self, folders: Sequence[Path] = ()) -> None:
        self._folders = folders
        self._hash = cache(_hash_of)
        self._pixels = cache(_pixels_of)
        self._loras = cache(self._with_hashes)

    def holds(self, wanted: Request, drawn: Request) -> bool:
        """Whether a picture's record says what a request asks for, as far as that is decided without its model."""
        try:
            expected = vars(replace(_spelled(wanted), **self._facts(wanted)).portable())
        except (UsageError, FileError):  # what cannot be read cannot have been drawn with: to draw it tells why
            return False
        found = vars(replace(drawn, vae=_own_as_empty(drawn.vae)))
        return all(_agree(name, value, found[name]) for name, value in expected.items() if name not in _DECIDED_LATER)

    def _facts(self, request: Request) -> dict[str, Any]:
        """The hashes of the files and pictures of a request."""
        files = {f"{name}_hash": self._hash(vars(request)[name]) for name in ("model", "vae", "refiner")}
        pictures = self._pixels(request.image, request.mask, request.depth)
        return files | pictures | self._loras(Request(**{name: vars(request)[name] for name in _WITH_LORAS}))

    def _with_hashes(self, request: Request) -> dict[str, Any]:
        """The LoRAs of a request, with their paths and hashes."""
        if not loras_of(request):
            return {}
        from pochade.generation.extra_networks.loras import Loras  # deferred: torch begins here

        return Loras(self._folders).resolved(request)


def _agree(name: str, wanted: Any, found: Any) -> bool:
    is_unknown = wanted < 0 if name in _SEEDS else name.endswith("_hash") and not wanted
    return is_unknown or wanted in _OPEN or wanted == found


def _spelled(request: Request) -> Request:
    """The request with its names as a picture's record spells them."""
    from pochade.sampling import choose  # deferred: torch begins here

    prompts: dict[str, Any] = {name: comments.strip(vars(request)[name]) for name in _PROMPTS}
    choice = choose(request.sampler, request.schedule)
    is_open = not request.sampler and choice.schedule.name == "automatic"
    second = request.hires_sampler and request.draws_twice and choose(request.hires_sampler).sampler.label
    return replace(
        request,
        **prompts,
        sampler=request.sampler and choice.sampler.label,
        schedule=None if is_open else choice.effective.label,
        hires_sampler=second or request.hires_sampler,
        vae=_own_as_empty(request.vae),
    )


def _own_as_empty(vae: str) -> str:
    """A model's own VAE is called none, and that of the shipped model nothing at all."""
    return "" if file_name(vae).casefold() == OWN else vae


def _hash_of(path: str) -> str:
    return short_hash(Path(path)) if path and Path(path).is_file() else ""


def _pixels_of(image: str, mask: str, depth: str) -> dict[str, str]:
    found = Inputs.of(Request(image=image, mask=mask, depth=depth)).hashes()
    return {f"{name}_hash": digest for name, digest in found.items()}
