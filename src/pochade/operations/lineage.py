"""Where a file comes from: its parents and what was done, kept in its metadata."""

import json
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from threading import Thread

from pochade import __version__
from pochade.errors import UsageError
from pochade.files import Weights
from pochade.files.saving import Pending
from pochade.library.hashes import sha256_of

KEY = "pochade.lineage"
UNKNOWN = "0" * 64
"""Stands where a SHA-256 is still being computed."""

Hashes = Mapping[str, str]


def lineage(operation: str, parents: Mapping[str, Weights], options: Mapping[str, object]) -> dict[str, str]:
    """Return the metadata that tells the parents by role, with name, size and hash, and the options of the operation.

    Parents' own lineages are kept, so that the whole history can be read from the last file. Hashes are computed while
    the file is written.
    """

    def told(hashes: Hashes) -> str:
        about = {role: _parent(weights, hashes.get(role)) for role, weights in parents.items()}
        table = {"operation": operation, "version": __version__, "parents": about, "options": dict(options)}
        return json.dumps(table, ensure_ascii=False)

    return {KEY: with_hashes({role: weights.path for role, weights in parents.items() if weights.path}, told)}


def with_hashes(paths: Mapping[str, Path], told: Callable[[Hashes], str]) -> Pending:
    """Return the text that `told` makes of the files' SHA-256 by role; folders have none.

    They are computed in a thread of their own, so that reading the files twice costs no time on two cores.
    """
    hashing = {role: (path, Future[str]()) for role, path in paths.items() if path.is_file()}
    Thread(target=_hash, args=(list(hashing.values()),), daemon=True).start()
    return Pending(
        told(dict.fromkeys(hashing, UNKNOWN)),
        lambda: told({role: future.result() for role, (_, future) in hashing.items()}),
    )


def _hash(jobs: list[tuple[Path, Future[str]]]) -> None:
    for path, future in jobs:
        try:
            future.set_result(sha256_of(path))
        except OSError as error:
            future.set_exception(error)


def refuse_inputs(target: Path, *sources: Path) -> None:
    """Raise UsageError when an operation would write over one of the files that it reads."""
    for source in sources:
        if target.exists() and source.exists() and target.samefile(source):
            raise UsageError(f"{target} is one of the files to read; name another one for the result.")


def _parent(weights: Weights, sha256: str | None) -> dict[str, object]:
    if weights.path is None:
        return {}
    about: dict[str, object] = {"name": weights.path.name}
    if sha256:
        about |= {"bytes": weights.path.stat().st_size, "sha256": sha256}
    if KEY in weights.metadata:
        about["lineage"] = json.loads(weights.metadata[KEY])
    return about
