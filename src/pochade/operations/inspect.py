"""Say what a file is and what is wrong with it, from its directory of tensors; from its numbers only if asked to."""

import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pochade.errors import FileError
from pochade.files import Weights
from pochade.files.mapped import reading
from pochade.kinds import checkpoint, lora, trigger_words, upscaler
from pochade.operations.findings import Problem, dtypes, findings, junk, unreadable
from pochade.operations.values import broken_values
from pochade.operations.view import View


def inspect(path: Path | str, hashes: bool = False, deep: bool = False) -> dict[str, Any]:
    """Return what is known of a model file or diffusers folder; raises FileError when it cannot be read.

    `hashes` reads the whole file, and skips folders; `deep` reads every number, to find those that are none.
    """
    path = Path(path)
    view = View.of(path)
    with reading(path):
        report = _described(view, [*findings(view), *(broken_values(view) if deep else ())])
        return report | ({"hashes": _hashes(path)} if hashes else {})


def report_of_unreadable(path: Path, error: FileError) -> dict[str, Any]:
    """Return the report on a file that inspect() refuses: nothing is known of it but what is wrong."""
    nothing = View(Weights({}), path)
    return _described(nothing, [unreadable(path, error)]) | {"format": None}


def _described(view: View, problems: Iterable[Problem]) -> dict[str, Any]:
    weights = view.weights
    return {
        "path": str(view.path),
        "format": weights.format,
        "kind": view.kind,
        "family": view.family.name if view.family else None,
        "variant": view.variant,
        "prediction": view.prediction,
        **_own_facts(view),
        "components": list(view.components),
        "missing": view.missing,
        "ema": checkpoint.ema_state(weights),
        "dtypes": dict(dtypes(weights, weights).most_common()),
        "parameters": sum(weights.info(name).size for name in weights),
        "bytes": _bytes(view.path),
        "junk": junk(view),
        "problems": [{"code": each.code, "message": each.message, "fix": each.fix} for each in problems],
        "metadata": weights.metadata,
        "trigger_words": _trigger_words(view),
    }


def _own_facts(view: View) -> dict[str, object]:
    """Return what only files of this kind have."""
    if view.kind == "upscaler":
        return {"scale": upscaler.scale(view.shapes), "blocks": upscaler.blocks(view.shapes)}
    if view.kind != "lora":
        return {}
    return {
        "algorithm": lora.algorithm(view.shapes, view.weights.metadata),
        "rank": lora.rank(view.shapes),
        "alpha": _alpha(view),
    }


def _alpha(view: View) -> float | None:
    name = next((name for name in view.shapes if name.endswith(".alpha") and view.weights.info(name).size), None)
    alpha = float(view.weights[name].real.reshape(-1)[0]) if name else None
    return alpha if alpha is None or math.isfinite(alpha) else None


def _trigger_words(view: View) -> list[str]:
    if view.kind == "embedding":
        return trigger_words.of_embedding(view.weights, view.path)
    return trigger_words.noted(view.weights.metadata)


def _hashes(path: Path) -> dict[str, str]:
    from pochade.files.hashes import hashes  # deferred: few ask for them

    return {} if path.is_dir() else hashes(path)


def _bytes(path: Path) -> int:
    files = path.rglob("*") if os.path.isdir(path) else (path,)
    return sum(os.path.getsize(each) for each in files if os.path.isfile(each))
