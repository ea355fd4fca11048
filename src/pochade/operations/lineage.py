"""Where a file comes from: its parents and what was done, kept in its metadata."""

import json
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from threading import Thread

from pochade import __version__
from pochade.files import Weights
from pochade.files.hashes import legacy_hash
from pochade.files.metadata import table_in
from pochade.files.saving import Pending
from pochade.library.hashes import remembered, sha256

KEY = "pochade.lineage"
Hashes = Mapping[str, str]


class Hashing:
    """The SHA-256 of an operation's parents by role, computed in a thread while the result is written.

    So reading the files twice costs no time on two cores, and none at all where the result keeps no metadata. Folders
    have no hash.
    """

    def __init__(self, parents: Mapping[str, Weights], most: int | None = None) -> None:
        """Hash all files, or those of `most` bytes and those whose hash is remembered."""
        files = {role: weights.path for role, weights in parents.items() if weights.path and weights.path.is_file()}
        paths = {
            role: path
            for role, path in files.items()
            if most is None or path.stat().st_size <= most or remembered(path)
        }
        self._futures = {role: Future[str]() for role in paths}
        self._thread = Thread(target=self._compute, args=(paths,), daemon=True)

    def begin(self) -> None:
        """Start now, if it has not begun: to write a text of it does so too, but torch may be loaded meanwhile."""
        if self._thread.ident is None:
            self._thread.start()

    def _compute(self, paths: Mapping[str, Path]) -> None:
        for role, path in paths.items():
            try:
                self._futures[role].set_result(sha256(path))
            except BaseException as error:  # noqa: BLE001  whatever it is, who waits for the hash would wait for ever
                self._futures[role].set_exception(error)

    def text(self, told: Callable[[Hashes], str]) -> Pending:
        """Return the JSON that `told` makes of the hashes; it is complete when the result's tensors are written."""
        longest = told({role: f"{number:064d}" for number, role in enumerate(self._futures)})
        return Pending(longest, self.begin, lambda: told({role: each.result() for role, each in self._futures.items()}))


def lineage(
    operation: str, parents: Mapping[str, Weights], options: Mapping[str, object], hashing: Hashing | None = None
) -> dict[str, str]:
    """Return the metadata that tells the parents by role, with name, size and hash, and the options of the operation.

    Parents' own lineages are kept, so that the whole history can be read from the last file.
    """

    def told(hashes: Hashes) -> str:
        about = {role: _parent(weights, hashes.get(role)) for role, weights in parents.items()}
        table = {"operation": operation, "version": __version__, "parents": about, "options": dict(options)}
        text = json.dumps(table, ensure_ascii=False)
        return text.encode(errors="backslashreplace").decode()  # names of files may hold bytes that are no text

    return {KEY: (hashing or Hashing(parents)).text(told)}


def _parent(weights: Weights, sha256: str | None) -> dict[str, object]:
    if weights.path is None:
        return {}
    about: dict[str, object] = {"name": weights.path.name}
    if weights.path.is_file():
        about |= {"bytes": weights.path.stat().st_size, "legacy_hash": legacy_hash(weights.path)}
    if sha256:
        about["sha256"] = sha256
    if history := table_in(weights.metadata, KEY):
        about["lineage"] = history
    return about
