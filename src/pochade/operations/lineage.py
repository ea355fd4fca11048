"""Where a file comes from: its parents and what was done, kept in its metadata."""

import json
from collections.abc import Mapping
from pathlib import Path

from pochade import __version__
from pochade.errors import UsageError
from pochade.files import Weights

KEY = "pochade.lineage"


def lineage(operation: str, parents: Mapping[str, Weights], options: Mapping[str, object]) -> dict[str, str]:
    """Return the metadata that tells the parents by role, with name and size, and the options of the operation.

    Parents' own lineages are kept, so that the whole history can be read from the last file.
    """
    told = {
        "operation": operation,
        "version": __version__,
        "parents": {role: _parent(weights) for role, weights in parents.items()},
        "options": dict(options),
    }
    return {KEY: json.dumps(told, ensure_ascii=False)}


def refuse_inputs(target: Path, *sources: Path) -> None:
    """Raise UsageError when an operation would write over one of the files that it reads."""
    for source in sources:
        if target.exists() and source.exists() and target.samefile(source):
            raise UsageError(f"{target} is one of the files to read; name another one for the result.")


def _parent(weights: Weights) -> dict[str, object]:
    if weights.path is None:
        return {}
    about: dict[str, object] = {"name": weights.path.name}
    if weights.path.is_file():
        about["bytes"] = weights.path.stat().st_size
    if KEY in weights.metadata:
        about["lineage"] = json.loads(weights.metadata[KEY])
    return about
