"""Say what a file is and what is wrong with it, from its directory of tensors alone."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from pochade import families, kinds
from pochade.families import Family
from pochade.files import LazyArray, Weights
from pochade.files.hashes import hashes as hashes_of
from pochade.files.state_dict import leaves
from pochade.kinds import checkpoint, embedding, hypernetwork, lora
from pochade.kinds.components import TEXT, UNET, VAE, components
from pochade.kinds.prediction import prediction_of

_SUFFIXES = {"safetensors": {".safetensors"}, "ckpt": {".ckpt", ".pt", ".pth", ".bin"}}
_WHOLE = (UNET, VAE, TEXT)
_FAMILY_OF = {"lora": lora.family_of, "embedding": embedding.family_of, "hypernetwork": hypernetwork.family_of}
_SHOWN = 5
_MOST_POSITIONS = 100_000


def inspect(path: Path | str, hashes: bool = False) -> dict[str, Any]:
    """Return what is known of a model file or diffusers folder; `hashes` reads the whole file, and skips folders."""
    path = Path(path)
    report = describe(kinds.open_model(path), path)
    return report | ({"hashes": {} if path.is_dir() else hashes_of(path)} if hashes else {})


def describe(weights: Weights, path: Path) -> dict[str, Any]:
    """Return what is known of the weights of a file that is open already."""
    view = _View(weights, path)
    return {
        "path": str(path),
        "format": weights.format,
        "kind": view.kind,
        "family": view.family.name if view.family else None,
        "variant": view.variant,
        "prediction": view.prediction,
        **(_lora_facts(view) if view.kind == "lora" else {}),
        "components": list(view.components),
        "missing": view.missing,
        "ema": checkpoint.ema_state(weights),
        "dtypes": dict(_dtypes(weights, weights).most_common()),
        "parameters": sum(weights.info(name).size for name in weights),
        "bytes": sum(each.stat().st_size for each in (path.rglob("*") if path.is_dir() else (path,)) if each.is_file()),
        "junk": _junk(view),
        "problems": [{"code": code, "message": message, "fix": fix} for code, message, fix in _problems(view)],
        "metadata": weights.metadata,
        "trigger_words": [],
    }


@dataclass(frozen=True)
class _View:
    """A file with what its names tell."""

    weights: Weights
    path: Path

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return self.weights.shapes()

    @cached_property
    def kind(self) -> str:
        return kinds.recognise(self.shapes)

    @cached_property
    def family(self) -> Family | None:
        return _FAMILY_OF.get(self.kind, families.recognise)(self.shapes)

    @cached_property
    def components(self) -> dict[str, list[str]]:
        return components(self.weights) if self.kind in {"checkpoint", *_WHOLE, "controlnet"} else {}

    @cached_property
    def junk(self) -> set[str]:
        return set(checkpoint.junk(self.weights)) if self.components else set()

    @property
    def variant(self) -> str | None:
        return self.family.variant(self.shapes) if self.family and UNET in self.components else None

    @property
    def missing(self) -> list[str]:
        return [part for part in _WHOLE if part not in self.components] if self.kind == "checkpoint" else []

    @property
    def prediction(self) -> str | None:
        return prediction_of(self.weights, self.family) if self.family and UNET in self.components else None


def _lora_facts(view: _View) -> dict[str, object]:
    name = next((name for name in view.shapes if name.endswith(".alpha") and view.weights.info(name).size), None)
    alpha = float(view.weights[name].real.reshape(-1)[0]) if name else None
    return {
        "algorithm": lora.algorithm(view.shapes, view.weights.metadata),
        "rank": lora.rank(view.shapes),
        "alpha": alpha if alpha is None or math.isfinite(alpha) else None,
    }


def _dtypes(weights: Weights, names: Iterable[str]) -> Counter[str]:
    """Return how many numbers stand in each format."""
    counts: Counter[str] = Counter()
    for name in names:
        counts[weights.info(name).dtype] += weights.info(name).size
    return counts


def _left_behind(view: _View) -> dict[str, object]:
    """Return what a training program stored beside the weights."""
    return {name: value for name, value in view.weights.extra.items() if name in checkpoint.LEFTOVERS and value}


def _junk(view: _View) -> dict[str, int]:
    beside = [tensor.info for _, tensor in leaves(view.path, _left_behind(view)) if isinstance(tensor, LazyArray)]
    inside = [view.weights.info(name) for name in view.junk]
    keys = len(inside) + max(len(beside), len(_left_behind(view)))
    return {"keys": keys, "bytes": sum(info.nbytes for info in inside + beside)}


def _problems(view: _View) -> Iterator[tuple[str, str, str]]:
    """Yield code, message and fix of everything that is worth a word."""
    for part, code in ((VAE, "vae-missing"), (TEXT, "text-encoder-missing")):
        if part in view.missing:
            yield code, f"The checkpoint has no {part}.", f"pochade bake with a {part} of the same family"
    yield from _position_problems(view)
    if len(view.components) > 1 and len(parts := _precisions(view)) > 1:
        listing = ", ".join(f"{dtype} in {' and '.join(where)}" for dtype, where in parts.items())
        yield "mixed-precision", f"Its numbers stand in several formats: {listing}.", "pochade convert --dtype fp16"
    if view.components and (checkpoint.leftovers(view.weights) or _left_behind(view)):
        size = _junk(view)["bytes"] / 1e6
        yield "junk", f"It carries leftovers of its training, {size:.1f} MB with buffers.", "pochade convert"
    if unknown := _unknown(view):
        shown = ", ".join(name[:80] for name in unknown[:_SHOWN])
        yield "unknown-keys", f"{len(unknown)} tensors belong to no known part: {shown}.", "pochade convert"
    suffix = view.path.suffix.lower()
    right = _SUFFIXES.get(view.weights.format, {suffix})
    if suffix not in right:
        yield "wrong-extension", f"It is a {view.weights.format} file.", f"rename it to end in {sorted(right)[0]}"


def _position_problems(view: _View) -> Iterator[tuple[str, str, str]]:
    """CLIP's position numbers must be 0, 1, 2, ...; careless merging rounds some of them."""
    for name in view.shapes:
        if name.endswith(checkpoint.POSITIONS) and (damage := _damage_of_positions(view.weights, name)):
            message = f"{name[:200]} is damaged ({damage}); words of a prompt are misread."
            yield "clip-position-ids", message, "pochade convert --repair"


def _damage_of_positions(weights: Weights, name: str) -> str | None:
    size = weights.info(name).size
    if size > _MOST_POSITIONS:
        return f"{size} numbers"
    with np.errstate(invalid="ignore"):  # not a number is a wrong number
        numbers = weights[name].real.reshape(-1).astype(np.int64)
    wrong = sorted(set(range(size)) - set(numbers.tolist()))[:_SHOWN]
    return None if np.array_equal(numbers, np.arange(size)) else f"missing: {wrong}"


def _precisions(view: _View) -> dict[str, list[str]]:
    """Return the parts in which each number format occurs, counting only what pictures need."""
    found: dict[str, list[str]] = {}
    for part, names in view.components.items():
        needed = [name for name in names if name not in view.junk and not checkpoint.is_schedule(name)]
        for dtype in _dtypes(view.weights, needed):
            found.setdefault(dtype, []).append(part)
    return found


def _unknown(view: _View) -> list[str]:
    if not view.components:
        return []
    known = {name for names in view.components.values() for name in names} | view.junk | checkpoint.MARKERS
    return [name for name in view.weights if name not in known and not name.startswith("model_ema.")]
