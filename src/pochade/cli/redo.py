"""`pochade redo`: draw a picture again from what it carries."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import pochade
from pochade.cli.common import Json, Models, tell
from pochade.cli.drawing import KeepInputs, Output, summary
from pochade.cli.told import metadata_of
from pochade.errors import MalformedFileError, MissingFileError, UsageError
from pochade.generation.locating import located, without_old_hashes
from pochade.generation.parameters.lora_hashes import hashes_of
from pochade.generation.request import Request

if TYPE_CHECKING:
    from pochade.generation.picture import Metadata
    from pochade.generation.pictures.recorded_inputs import Found

app = typer.Typer(add_completion=False)

_ALIKE = ("", "Pochade", "A1111", "Forge")  # programs whose pictures come out the same
_TITLES = {"model_hash": "by another model", "vae_hash": "with another VAE", "refiner_hash": "with another refiner"}


def _input(what: str) -> Any:
    return typer.Option(metavar="FILE", help=f"{what} that it began with, if it is not found.")


@app.command(epilog="Example: pochade redo house.png -o house-again.png")
def redo(
    picture: Annotated[Path, typer.Argument(help="A picture by Pochade, A1111, ComfyUI...", metavar="IMAGE")],
    image: Annotated[Path | None, _input("Picture")] = None,
    mask: Annotated[Path | None, _input("Mask")] = None,
    depth: Annotated[Path | None, _input("Depth map")] = None,
    model: Annotated[str, typer.Option(metavar="TEXT", help="Model to use instead of the recorded one.")] = "",
    vae: Annotated[str, typer.Option(metavar="TEXT", help="VAE to use instead of the recorded one.")] = "",
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda", help="Device instead of the recorded one.")] = "",
    dtype: Annotated[str, typer.Option(metavar="TEXT", help="Numbers instead of the recorded ones.")] = "",
    models: Models = None,
    output: Output = None,
    keep_inputs: KeepInputs = False,
    as_json: Json = False,
) -> None:
    """Draw a picture again. One by Pochade comes out the same to the pixel on the same machine.

    What it began with is read from its file, from files of the recorded names beside it, or from those in this folder.
    """
    from pochade.cli.progress import watch
    from pochade.generation.drawer import pipeline_for
    from pochade.generation.naming import check_holding, namer  # deferred: the help needs none of these

    metadata = metadata_of(picture)
    given = {name: path for name, path in {"image": image, "mask": mask, "depth": depth}.items() if path}
    recorded, found = _found(metadata, given)
    named = found.request.model or (_nameless(metadata, found.request) if models else "")
    request = replace(found.request, model=model or named, vae=vae or found.request.vae)
    request = _computed(request, device, dtype).validate()
    check_holding(output, [request], keep_inputs)
    name = namer(output, 1, "redo", [picture, *found.files])
    request = _renamed(_located(request, models or []), metadata, models or [])
    recorded = without_old_hashes(recorded, request)
    for number, drawn in enumerate(watch(pipeline_for(request, models or []).run(request, found.inputs))):
        if number != metadata.index:
            continue
        for note in (*found.notes, *_differences(recorded, drawn.request, metadata)):
            _tell(note)
        path = drawn.save(name(drawn), keep_inputs=keep_inputs)
        typer.echo(json.dumps(summary(drawn, path), indent=2) if as_json else path)


def _found(metadata: "Metadata", given: dict[str, Path]) -> "tuple[Request, Found]":
    """The request that a picture carries, or the best that its text gives; and the pictures that it began with."""
    from pochade.generation.pictures.recorded_inputs import find_inputs  # deferred with the rest

    if metadata.request:
        return metadata.request, find_inputs(metadata.request, metadata, given)
    settings = metadata.settings
    if not metadata.infotext:
        found = f", only {'; '.join(settings.left_out)}" if settings.left_out else ""
        raise MalformedFileError(
            metadata.path, f"it carries no parameters to redo it from{found}; draw it with txt2img instead."
        )
    recalled = settings.recalled()
    if recalled.ignored:
        _tell(f"these parameters of the picture are not followed: {', '.join(recalled.ignored)}.")
    for sentence in settings.left_out:
        _tell(f"this of the picture is not followed: {sentence}.")
    if settings.program not in _ALIKE:
        _tell(f"the picture was drawn by {settings.program}; this one will be alike, not the same to the pixel.")
    if recalled.request.controls:
        _tell("its ControlNets are left out, because it does not tell what pictures they looked at.")
    request = replace(recalled.request, controls=())
    return request, find_inputs(request, metadata, given, recalled.began_with)


def _nameless(metadata: "Metadata", request: Request) -> str:
    """The hash of a model of which a text tells nothing else; it finds the file in place of a name."""
    return "" if metadata.record or "Model" in metadata.settings.parameters else request.model_hash


def _located(request: Request, folders: list[Path]) -> Request:
    """The request with paths for its files; a name that fails is tried by its hash."""
    try:
        return located(request, folders)
    except (UsageError, MissingFileError) as error:
        raise UsageError(f"A file that the picture was drawn with is not here. {error}") from error


def _renamed(request: Request, metadata: "Metadata", folders: list[Path]) -> Request:
    """The request with the names that its LoRAs and embeddings have here, found by their hashes."""
    from pochade.generation.renaming import new_names, new_words, with_names, with_words  # deferred with the rest

    names = new_names(request, metadata.settings.lora_hashes, folders)
    for old, new in names.items():
        _tell(f"the LoRA {old!r} is called {new!r} here.")
    words = new_words(metadata.settings.embedding_hashes, folders)
    for old, new in words.items():
        _tell(f"the embedding {old!r} is called {new!r} here.")
    request = with_names(request, names) if names else request
    return with_words(request, words) if words else request


def _computed(request: Request, device: str, dtype: str) -> Request:
    """The request for this machine: what it lacks, and nobody asked for, gives way to what it has."""
    wanted = device or (request.device if _has(request.device) else "auto")
    return replace(request, device=wanted, dtype=dtype or (request.dtype if wanted == request.device else "auto"))


def _has(device: str) -> bool:
    if device != "cuda":
        return True
    from pochade.generation.model import device_of  # deferred: torch begins here

    try:
        device_of(device)
    except UsageError:
        return False
    return True


def _differences(recorded: Request, drawn: Request, metadata: "Metadata") -> Iterator[str]:
    """Why the picture may not be the same to the pixel."""
    if metadata.record and metadata.is_upscaled:
        yield "the picture was made larger after it was drawn; this one is as it was before: upscale it again."
    for field, title in _TITLES.items():
        before, now = getattr(recorded, field), getattr(drawn, field)
        if now != before and (before or (metadata.record and now)):
            yield f"the picture was drawn {title}, {before or 'its own'}; this one is {now or 'its own'}."
    for unit, other in zip(recorded.controls, drawn.controls, strict=True):
        if unit.model_hash not in ("", other.model_hash):
            yield f"the picture was drawn with another ControlNet, {unit.model_hash}; this one is {other.model_hash}."
        if unit.annotator_hash not in ("", other.annotator_hash):
            found = f"{unit.annotator_hash}; this one is {other.annotator_hash or 'none'}"
            yield f"the picture's hint was made with another network, {found}."
    yield from _other_loras(recorded, drawn)
    computed = (recorded.device, recorded.dtype)
    if "auto" not in computed and computed != (drawn.device, drawn.dtype):
        yield (
            f"the picture was computed on {computed[0]} in {computed[1]}, and this one on {drawn.device} in "
            f"{drawn.dtype}; they differ in details."
        )
    program = json.loads(metadata.record).get("program") if metadata.record else None
    if program and program != f"pochade {pochade.__version__}":
        yield f"the picture was drawn by {program}, and this is pochade {pochade.__version__}; details may differ."


def _other_loras(recorded: Request, drawn: Request) -> Iterator[str]:
    """Which LoRAs have the names of recorded ones and are others."""
    pairs = [(unit.name, unit.hash, other.hash) for unit, other in zip(recorded.loras, drawn.loras, strict=True)]
    before, now = hashes_of(recorded.lora_hashes), hashes_of(drawn.lora_hashes)
    pairs += [(name, before[name], now[name]) for name in before if name in now]
    for name, old, new in pairs:
        if old and old[: len(new)] != new[: len(old)]:
            yield f"the picture was drawn with another LoRA {name!r}, {old}; this one is {new}."


def _tell(sentence: str) -> None:
    tell(f"Note: {sentence}", err=True)
