"""The LoRAs of requests: found by name, and put on a model for each pass."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from pochade import files, kinds
from pochade.errors import FileError, UsageError, shown
from pochade.generation.device.notes import Notes
from pochade.generation.extra_networks.embeddings import Embedding, bundled_embeddings
from pochade.generation.extra_networks.lora_files import LoraFiles, lora_hash, state_of
from pochade.generation.extra_networks.lora_unit import LoraUnit, tagged
from pochade.generation.extra_networks.patches import Layer
from pochade.generation.model import Model
from pochade.generation.parameters.lora_hashes import hash_of, hashes_of, listed
from pochade.generation.request import Request
from pochade.kinds.lora import family_of
from pochade.networks import TextNetwork
from pochade.prompts import extra_networks

_NEARLY = 1e-6  # what a computed number of steps may lack of a whole one


class Chosen(NamedTuple):
    """A LoRA that a request names, and its file."""

    unit: LoraUnit
    path: Path


@dataclass(frozen=True, eq=False)
class Worn:
    """The LoRAs that a model wears in one pass."""

    model: Model
    chosen: tuple[Chosen, ...] = ()

    @contextmanager
    def at_work(self, network: TextNetwork) -> Iterator[None]:
        """Within this context a text encoder can work, with the LoRAs on. Raises FileError for a broken one."""
        self.model.patches.text.put_on(tuple(_layer(each, each.unit.text_strength) for each in self.chosen))
        with self.model.memory.workplace.at_work(network):
            yield

    def put_on(self, progress: float, steps: int) -> None:
        """Put on the UNet what acts when this share of the steps is done. Raises FileError for a broken LoRA."""
        done = int(progress * steps + _NEARLY)
        self.model.patches.unet.put_on(
            tuple(layer for unit, layer in self._layers if unit.acts(done, steps))  # the same objects at each step
        )

    def embeddings(self) -> dict[str, Embedding]:
        """The embeddings that they bring along, by name, of several with one name the first. Raises FileError."""
        found: dict[str, Embedding] = {}
        for _, path in self.chosen:
            found = bundled_embeddings(files.open(path), path.stem) | found
        return found

    @cached_property
    def _layers(self) -> list[tuple[LoraUnit, Layer]]:
        return [(each.unit, _layer(each, each.unit.weight)) for each in self.chosen]


class Loras:
    """The LoRAs in folders of models, for the requests that name them."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._files = LoraFiles(folders)

    def resolved(self, request: Request) -> dict[str, Any]:
        """The fields of a request that tell of LoRAs, with paths and hashes.

        Raises UsageError or FileError for one beside the prompts that cannot be put on; tags are told of by `worn`.
        """
        chosen = [Chosen(unit, self._files.path_of(unit.name, unit.hash)) for unit in request.loras]
        for each in chosen:
            if problem := _problem(each.path):
                raise UsageError(f"{each.path} {problem}.")
        units = (replace(unit, name=str(path), hash=lora_hash(path)) for unit, path in chosen)
        prompts = [request.prompt, *([request.hires_prompt] if request.draws_twice else [])]
        tags = [each for prompt in prompts for each in self._in_prompt(prompt, request, Notes())]
        return {
            "loras": tuple(units),
            "lora_hashes": listed({unit.name: lora_hash(path) for unit, path in tags}),
        }

    def worn(self, request: Request, model: Model) -> Worn:
        """What a model wears for the prompt of a resolved request; what it cannot wear is noted."""
        notes = model.memory.notes
        chosen = [
            *self._in_prompt(request.prompt, request, notes),
            *(Chosen(unit, Path(unit.name)) for unit in request.loras),
        ]
        return Worn(model, tuple(each for each in chosen if _is_for(each, model, notes)))

    def _in_prompt(self, prompt: str, request: Request, notes: Notes) -> list[Chosen]:
        """What tags ask for, with a note on each tag that cannot be followed."""
        units, problems = tagged(extra_networks.extract(prompt)[1])
        for problem in problems:
            notes.add(problem)
        hashes = hashes_of(request.lora_hashes)
        found = ((unit, self._files.find(unit.name, hash_of(unit.name, hashes))) for unit in units)
        return [each for unit, path in found if (each := _chosen(unit, path, notes))]


def _chosen(unit: LoraUnit, path: Path | None, notes: Notes) -> Chosen | None:
    """What a tag asks for, at the path where it was found; if it cannot be used, this is noted."""
    problem = _problem(path) if path else "is not in the folders of models"
    if problem:
        notes.add(f"The LoRA '{shown(unit.name)}' {problem}; it has no effect.")
    return Chosen(unit, path) if path and not problem else None


def _problem(path: Path) -> str:
    """Why a file cannot be put on as a LoRA; empty if it can."""
    try:
        kind = kinds.recognise(files.open(path).shapes())
    except FileError as error:
        return f"cannot be used ({str(error).rstrip('.')})"
    return "" if kind == "lora" else f"is no LoRA but a file of kind {kind}"


def _is_for(chosen: Chosen, model: Model, notes: Notes) -> bool:
    """Whether a LoRA is for models of this family, as far as it tells; if not, this is noted."""
    theirs = family_of(files.open(chosen.path).shapes())
    if theirs in (None, model.family):
        return True
    assert theirs is not None
    what = f"The LoRA '{shown(chosen.path.stem)}' is for {theirs.title}"
    notes.add(f"{what}, and {model.path.name} is a model of {model.family.title}; it has no effect on that.")
    return False


def _layer(chosen: Chosen, strength: float) -> Layer:
    unit, path = chosen
    return Layer(path.stem, path, state_of(path), strength, unit.blocks, unit.rank)
