"""Find a model by the name people use for it, in folders laid out by any of the known programs or by the user."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from os.path import splitext
from pathlib import Path

from pochade.errors import MissingFileError, PochadeError, UnknownNameError, UsageError
from pochade.files.folders import INDEX
from pochade.files.walking import walked
from pochade.library.hashes import remembered_of, sha256
from pochade.library.places import Place, places_for

_MARKS = {"controlnet": "config.json"}  # what a diffusers folder of one part has in place of an index
_SUFFIXES = {".safetensors", ".ckpt", ".pt", ".pth", ".bin", ".sft"}
PICTURES = {"embedding": frozenset({".png", ".webp"})}
"""Suffixes of pictures, for the kinds that may lie hidden in one."""
_SHORT_HASH = re.compile(r"\s*\[[0-9a-f]{8,64}\]$")  # A1111 shows "name [hash]"


def find_model(name: str, folders: Sequence[Path], kind: str = "checkpoint", alone: bool = False) -> Path:
    """The file called `name`: a path, a path inside a folder, a file name or its stem, in any case of letters.

    It is the first of several, unless `alone` refuses them with a UsageError.
    """
    if _is_model(name, kind):
        return Path(name)
    if not folders or Path(name).is_absolute():
        raise _absent(name, kind)
    wanted = _folded(_SHORT_HASH.sub("", name))
    found = list(models_of(folders, kind))
    for spell in (_whole, _last, _without_suffix, _stem):
        if same := [path for place, path in found if _folded(spell(place.name(path), path)) == wanted]:
            return _only(name, same) if alone else same[0]
    if not found:
        raise UsageError(f"There is no {kind} in {', '.join(map(str, folders))}; check --models and POCHADE_MODELS.")
    raise UnknownNameError(kind, name, sorted({_stem(place.name(path), path) for place, path in found}))


def find_in(name: str, folder: Path, kind: str = "checkpoint") -> Path:
    """The file called `name`: a path, or the name or stem of a file that lies in a folder itself, not below it."""
    if _is_model(name, kind):
        return Path(name)
    near = [each for each in sorted(folder.iterdir()) if each.suffix.lower() in _SUFFIXES and each.is_file()]
    wanted = _folded(name)
    same = [each for each in near if wanted in (_folded(each.name), _folded(each.stem))]
    if same:
        return _only(name, same)
    if not near or Path(name).suffix.lower() in _SUFFIXES or len(Path(name).parts) > 1:
        raise _absent(name, kind)
    raise UnknownNameError(kind, name, [each.stem for each in near])


def _is_model(name: str, kind: str) -> bool:
    return Path(name).is_file() or Path(name, _MARKS.get(kind, INDEX)).is_file()


def _only(name: str, found: Sequence[Path]) -> Path:
    """The one file of a name. Raises UsageError where there are several."""
    if len(found) > 1:
        raise UsageError(f"{name!r} may be {found[0]} or {found[1]}; write its path or its name's ending too.")
    return found[0]


def _absent(name: str, kind: str) -> PochadeError:
    """Why a name that is no model by itself cannot be looked up either."""
    path = Path(name)
    if path.is_dir():
        return UsageError(f"{name}: this folder is no model; to look for models in it, give --models {name}.")
    if path.suffix.lower() in _SUFFIXES or len(path.parts) > 1:
        return MissingFileError(name, "there is no such file; check the path, or look in a folder with --models DIR.")
    return UsageError(
        f"There is no {kind} file {name!r}, and no folder to look in: give a path, --models DIR or POCHADE_MODELS."
    )


def find_by_hash(digest: str, folders: Sequence[Path], kind: str = "checkpoint") -> Path | None:
    """The file whose SHA-256 begins with `digest`: one whose hash is known, else file after file is read."""
    paths = [path for _, path in models_of(folders, kind) if path.is_file()]
    known = remembered_of(paths)
    for path in (*known, *(each for each in paths if each not in known)):
        if (known.get(path) or sha256(path)).startswith(digest.lower()):
            return path
    return None


def models_of(folders: Iterable[Path], kind: str) -> Iterator[tuple[Place, Path]]:
    """Every model of a kind, with the place that its name is relative to, in a fixed order."""
    seen: set[Path] = set()
    for folder in folders:
        if not folder.is_dir():
            raise UsageError(f"{folder}: there is no such models folder; check --models and POCHADE_MODELS.")
        for place in places_for(folder, kind):
            for path in models_below(place.folder, PICTURES.get(kind, frozenset())):
                if path not in seen and _fits(path, kind):
                    seen.add(path)
                    yield place, path


def models_below(root: Path, pictures: Set[str] = frozenset()) -> Iterator[Path]:
    """Every model file below a folder, also through links, in a fixed order; a diffusers folder is one model.

    `pictures` are suffixes of picture files that count too, but for previews.
    """
    for folder, models, _ in models_by_folder(root, pictures):
        yield from (folder / name for name in models)


def models_by_folder(
    root: Path, pictures: Set[str] = frozenset(), refused: Callable[[OSError], object] | None = None
) -> Iterator[tuple[Path, list[str], list[str]]]:
    """The same, folder by folder: each with the names of the models, then of all files in it.

    A diffusers folder holds one model, itself, by the name `.`; `refused` hears which folders cannot be listed.
    """
    suffixes = _SUFFIXES | pictures
    for folder, inner, names in walked(root, refused):
        if INDEX in names:
            inner.clear()
            yield folder, ["."], names
        else:
            models = [name for name in names if splitext(name)[1].lower() in suffixes and not _is_preview(name)]
            yield folder, models, names


def _is_preview(name: str) -> bool:
    return splitext(splitext(name)[0])[1].lower() == ".preview"


def _fits(path: Path, kind: str) -> bool:
    """A VAE may lie beside its checkpoint under the name `model.vae.safetensors`."""
    return kind == "vae" or ".vae" not in [suffix.lower() for suffix in path.suffixes]


def _folded(name: str) -> str:
    return name.replace("\\", "/").casefold()


def _whole(name: str, path: Path) -> str:
    return name


def _last(name: str, path: Path) -> str:
    return name.rpartition("/")[2]


def _without_suffix(name: str, path: Path) -> str:
    """The name of a file without its ending; a folder has none."""
    return name if path.is_dir() else splitext(name)[0]


def _stem(name: str, path: Path) -> str:
    return _last(_without_suffix(name, path), path)
