"""Write a model as a diffusers folder: every part's weights and description, tokenizers, scheduler and index."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from pochade import families
from pochade.events import Event, Saved, Step, Warned
from pochade.files import Weights
from pochade.files.folders import CONFIG, INDEX, PREPROCESSOR, SCHEDULER, UNPLACED
from pochade.files.saving import megabytes, replacing_folder, saving
from pochade.kinds.descriptions import Table
from pochade.kinds.diffusers import Folder, as_folder
from pochade.kinds.image_descriptions import EXTRACTOR
from pochade.kinds.prediction import prediction_of
from pochade.prompts.tokenizer_files import tokenizer_files

_FILE, _FILE_OF_TRANSFORMERS = "diffusion_pytorch_model.safetensors", "model.safetensors"


def saving_folder(target: Path, weights: Weights, metadata: Mapping[str, str]) -> Iterator[Event]:
    """Write weights as a folder; yields Steps in megabytes, Warned where something had to be guessed, and Saved.

    What the layout has no place for goes into a file of its own beside the index, with the metadata, so that the
    way back loses nothing. Raises UsageError when something stands at `target` already, FileError where the weights
    are no checkpoint.
    """
    family = families.recognise(weights.shapes())
    prediction = prediction_of(weights, family) if family else None
    folder = as_folder(weights, prediction)
    if INDEX in folder.descriptions and prediction is None:
        yield Warned(
            "Nothing tells whether the model predicts the noise or v; the folder says epsilon. If pictures are noise, "
            'write "v_prediction" into its scheduler/scheduler_config.json.'
        )
    if folder.lacks_statistics:
        yield Warned(
            "The file does not hold the mean and the spread of CLIP's image embeddings that such a model was trained "
            "with; the folder's image_normalizer says 0 and 1. Pictures are right only with the true ones: put the "
            "image_normalizer of a published folder of this model in its place."
        )
    with replacing_folder(target) as room:
        yield from _saving_weights(room, folder, {**metadata, **folder.metadata})
        _write_texts(room, folder)
    yield Saved(target)


def _saving_weights(room: Path, folder: Folder, metadata: Mapping[str, str]) -> Iterator[Event]:
    whole = INDEX in folder.descriptions
    jobs = {
        (room / part if whole else room) / _file_of(folder.descriptions[part]): each
        for part, each in folder.parts.items()
    }
    plain = {"format": "pt"}
    if whole or folder.unplaced:
        jobs[room / UNPLACED] = folder.unplaced
    total = sum(megabytes(0, _bytes(each)).total for each in jobs.values())
    done = 0
    for path, weights in jobs.items():
        path.parent.mkdir(exist_ok=True)
        reached = 0
        for event in saving(path, weights, metadata if path.name == UNPLACED or not whole else plain):
            if isinstance(event, Step):
                reached = event.done
                yield Step(min(done + reached, total), total, event.what)
        done += reached


def _file_of(description: Table) -> str:
    """Return the name of a part's weights. Only transformers' descriptions speak of architectures."""
    return _FILE_OF_TRANSFORMERS if "architectures" in description else _FILE


def _bytes(weights: Weights) -> int:
    return sum(weights.info(name).nbytes for name in weights)


def _write_texts(room: Path, folder: Folder) -> None:
    for part, table in folder.descriptions.items():
        if part == INDEX:
            path = room / INDEX
        elif INDEX in folder.descriptions:
            path = room / part / _description_file(part)
        else:
            path = room / CONFIG
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(table, indent=2) + "\n", encoding="utf-8")
    for part, pad in folder.tokenizers.items():
        (room / part).mkdir()
        for name, text in tokenizer_files(pad).items():
            (room / part / name).write_text(text, encoding="utf-8")


def _description_file(part: str) -> str:
    if part.endswith("scheduler"):
        return SCHEDULER
    return PREPROCESSOR if part == EXTRACTOR else CONFIG
