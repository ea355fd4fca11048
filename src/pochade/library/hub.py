"""The cache of the Hugging Face hub: for every repository the files of each revision that was fetched, as links."""

import os
from collections.abc import Iterator
from pathlib import Path

_START = "models--"
_MAIN = "main"
_INNER = "hub"  # of the folder that HF_HOME names


def is_cache(root: Path) -> bool:
    """Tell whether a folder is such a cache, or has it inside."""
    return bool(_repositories(root))


def snapshots(root: Path) -> Iterator[tuple[str, Path]]:
    """Yield the name of every model repository, with the folder that shows its files as its branch `main` has them.

    Further branches have their name behind an @; where no branch is noted, the revision that came last counts.
    """
    for repository in _repositories(root):
        name = "/".join(repository.name.removeprefix(_START).split("--"))
        branches = dict(_branches(repository / "refs"))
        found = {branch: repository / "snapshots" / commit for branch, commit in branches.items()}
        if not any(each.is_dir() for each in found.values()):
            found = {_MAIN: last} if (last := _last(repository / "snapshots")) else {}
        for branch, folder in found.items():
            yield (name if branch == _MAIN else f"{name}@{branch}"), folder


def _repositories(root: Path) -> list[Path]:
    for folder in (root, root / _INNER):
        if found := _inner(folder, _START):
            return found
    return []


def _branches(refs: Path) -> Iterator[tuple[str, str]]:
    """Yield every branch with its commit, `main` first; names of branches may have slashes, which are folders."""
    paths = [Path(folder, name) for folder, _, names in os.walk(refs) for name in names]
    for path in sorted(paths, key=lambda each: (each != refs / _MAIN, each)):
        try:
            commit = path.read_text(encoding="utf-8").strip()
        except (OSError, ValueError):
            continue  # a fetch may be just writing it
        if commit.isalnum():  # anything else could lead anywhere
            yield path.relative_to(refs).as_posix(), commit


def _last(folder: Path) -> Path | None:
    return max(_inner(folder), key=lambda each: each.stat().st_mtime, default=None)


def _inner(folder: Path, start: str = "") -> list[Path]:
    """The folders in a folder whose names begin so, in order; none where it cannot be listed."""
    try:
        return sorted(each for each in folder.iterdir() if each.name.startswith(start) and each.is_dir())
    except OSError:
        return []
