"""Diffusers folders: a model in parts, each in a folder of its own with a description in JSON.

A part's tensors are in one file or in numbered shards, in full or as variants (`fp16`, `non_ema`), as safetensors or as
pickles. Names are the part's name, a slash, and the tensor's.
"""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pochade.errors import MalformedFileError
from pochade.files.mapped import reading
from pochade.files.weights import LazyArray, Weights

INDEX = "model_index.json"
CONFIG = "config.json"
SCHEDULER = "scheduler_config.json"
PREPROCESSOR = "preprocessor_config.json"
UNPLACED = "unplaced.safetensors"
"""Where Pochade keeps what the layout has no place for, in the original's names."""

_FILE = re.compile(
    r"(?:diffusion_pytorch_model|pytorch_model|model|adapter_model|pytorch_lora_weights)"
    r"(?:\.(?P<variant>\w+))?\.(?P<suffix>safetensors|bin)(?P<index>\.index(?:\.(?P<late>\w+))?\.json)?"
)
_PART = re.compile(r"\w+")
_PREFERRED = ("", "fp16", "bf16")
_MOST_JSON = 20_000_000

Open = Callable[[Path], Weights]


def read(folder: Path, open: Open) -> Weights:
    """Read a whole model's folder or one part's; `open` opens the files in it.

    The descriptions are in `extra["configs"]`, by part. Raises MalformedFileError for a folder that is neither.
    """
    with reading(folder):
        return _whole(folder, open) if (folder / INDEX).is_file() else _part_alone(folder, open)


def _whole(folder: Path, open: Open) -> Weights:
    configs: dict[str, Any] = {INDEX: _json(folder / INDEX)}
    arrays: dict[str, LazyArray] = {}
    for part, place in configs[INDEX].items():
        if not _is_part(part, place) or not (folder / part).is_dir():
            continue
        configs[part] = _config(folder / part)
        if found := _weights_file(folder / part):
            weights = _weights(folder / part, found, open)
            arrays |= {f"{part}/{name}": weights.lazy(name) for name in weights}
    rest = _unplaced(folder, open)
    arrays |= {name: rest.lazy(name) for name in rest}
    if not arrays:
        raise MalformedFileError(folder, f"its {INDEX} names parts, but none of them has a file of weights")
    return Weights(arrays, rest.metadata, folder, "diffusers", {"configs": configs})


def _unplaced(folder: Path, open: Open) -> Weights:
    return open(folder / UNPLACED) if (folder / UNPLACED).is_file() else Weights({})


def _part_alone(folder: Path, open: Open) -> Weights:
    found = _weights_file(folder)
    if found is None:
        raise MalformedFileError(
            folder, f"is a folder without {INDEX} or a file of weights; name a model file or a diffusers folder"
        )
    weights, rest = _weights(folder, found, open), _unplaced(folder, open)
    arrays = {name: each.lazy(name) for each in (weights, rest) for name in each}
    metadata = weights.metadata | rest.metadata
    return Weights(arrays, metadata, folder, "diffusers", {"configs": {"": _config(folder)}})


def _is_part(part: str, place: object) -> bool:
    """Tell whether an entry of the index is a part that is there; others are null, or options of the pipeline."""
    return bool(_PART.fullmatch(part)) and isinstance(place, list) and any(place)


def _config(folder: Path) -> dict[str, Any]:
    return next((_json(folder / name) for name in (CONFIG, SCHEDULER, PREPROCESSOR) if (folder / name).is_file()), {})


def _json(path: Path) -> dict[str, Any]:
    """Read a table; a folder may come from anywhere, so size and kind are checked."""
    if path.stat().st_size > _MOST_JSON:
        raise MalformedFileError(path, f"has {path.stat().st_size} bytes; a description is much shorter")
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise MalformedFileError(path, f"is no JSON: {error}") from error
    if not isinstance(table, dict):
        raise MalformedFileError(path, "holds no table of fields")
    return table


def _weights_file(folder: Path) -> Path | None:
    """Return the file of a part's weights, or the index of its shards; full before half, safetensors before pickles."""
    found = [(match, each) for each in folder.iterdir() if (match := _FILE.fullmatch(each.name)) and each.is_file()]
    return min(found, key=lambda pair: _order(pair[0]))[1] if found else None


def _order(match: re.Match[str]) -> tuple[int, str, bool, bool]:
    variant = match["variant"] or match["late"] or ""
    rank = _PREFERRED.index(variant) if variant in _PREFERRED else len(_PREFERRED)
    return rank, variant, match["suffix"] != "safetensors", match["index"] is not None


def _weights(folder: Path, found: Path, open: Open) -> Weights:
    """Open a part's one file, or all its shards."""
    if found.suffix != ".json":
        return open(found)
    table = _json(found).get("weight_map")
    if not isinstance(table, dict) or not all(isinstance(shard, str) for shard in table.values()):
        raise MalformedFileError(found, "has no weight_map of names and files")
    shards = {shard: open(_inside(folder, shard, found)) for shard in sorted(set(table.values()))}
    for name, shard in table.items():
        if name not in shards[shard]:
            raise MalformedFileError(found, f"says that {name!r:.100} is in {shard}, which does not hold it")
    return Weights({name: shards[shard].lazy(name) for name, shard in table.items()})


def _inside(folder: Path, shard: str, index: Path) -> Path:
    """Return a shard's path. An index that points out of its folder could make us read any file."""
    if Path(shard).name != shard or not os.path.isfile(folder / shard):
        raise MalformedFileError(index, f"names {shard!r:.100}, which is no file in its folder")
    return folder / shard
