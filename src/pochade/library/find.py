"""Find a model by the name people use for it, in folders laid out by A1111, ComfyUI or the user."""

import re
from collections.abc import Iterable, Iterator, Sequence, Set
from pathlib import Path

from pochade.errors import MissingFileError, PochadeError, UnknownNameError, UsageError
from pochade.files.folders import INDEX
from pochade.files.walking import walked
from pochade.library.hashes import sha256

# The sub-folders of one kind; the first ones that exist are searched, else the given folder itself.
PLACES = {
    "checkpoint": ("models/Stable-diffusion", "models/checkpoints", "Stable-diffusion", "checkpoints"),
    "vae": ("models/VAE", "models/vae", "VAE", "vae"),
    "controlnet": (
        *("models/ControlNet", "models/controlnet", "ControlNet", "controlnet"),
        "extensions/sd-webui-controlnet/models",
    ),
    "lora": ("models/Lora", "models/LyCORIS", "models/loras", "Lora", "LyCORIS", "loras"),
    "embedding": ("embeddings", "models/embeddings"),
    "hypernetwork": ("models/hypernetworks", "hypernetworks"),
    "upscaler": (
        *("models/ESRGAN", "models/RealESRGAN", "models/upscale_models", "ESRGAN", "RealESRGAN", "upscale_models"),
    ),
}
_MARKS = {"controlnet": "config.json"}  # what a diffusers folder of one part has in place of an index
_SUFFIXES = {".safetensors", ".ckpt", ".pt", ".pth", ".bin", ".sft"}
_PICTURES = {"embedding": {".png", ".webp"}}  # kinds that may lie hidden in one
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
    for spell in (_relative, _file_name, _relative_stem, _stem):
        if same := [path for root, path in found if spell(root, path) == wanted]:
            return _only(name, same) if alone else same[0]
    if not found:
        raise UsageError(f"There is no {kind} in {', '.join(map(str, folders))}; check --models and POCHADE_MODELS.")
    raise UnknownNameError(kind, name, sorted({_display_name(path) for _, path in found}))


def find_in(name: str, folder: Path, kind: str = "checkpoint") -> Path:
    """The file called `name`: a path, or the name or stem of a file that lies in a folder itself, not below it."""
    if _is_model(name, kind):
        return Path(name)
    near = [each for each in sorted(folder.iterdir()) if each.suffix.lower() in _SUFFIXES and each.is_file()]
    wanted = _folded(name)
    same = [each for each in near if wanted in (_file_name(folder, each), _stem(folder, each))]
    if same:
        return _only(name, same)
    if not near or Path(name).suffix.lower() in _SUFFIXES or len(Path(name).parts) > 1:
        raise _absent(name, kind)
    raise UnknownNameError(kind, name, [_display_name(each) for each in near])


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
    """The file whose SHA-256 begins with `digest`. It reads file after file, so it is for when the name fails."""
    for _, path in models_of(folders, kind):
        if path.is_file() and sha256(path).startswith(digest.lower()):
            return path
    return None


def models_of(folders: Iterable[Path], kind: str) -> Iterator[tuple[Path, Path]]:
    """Every model of a kind, with the folder that its name is relative to, in a fixed order."""
    seen: set[Path] = set()
    for root in _roots(folders, kind):
        for path in models_below(root, _PICTURES.get(kind, set())):
            if path not in seen and _fits(path, kind):
                seen.add(path)
                yield root, path


def _roots(folders: Iterable[Path], kind: str) -> Iterator[Path]:
    for folder in folders:
        if not folder.is_dir():
            raise UsageError(f"{folder}: there is no such models folder; check --models and POCHADE_MODELS.")
        yield from places_of([folder], kind) or [folder]


def places_of(folders: Iterable[Path], kind: str) -> list[Path]:
    """The sub-folders of one kind, as far as they are there."""
    return [folder / place for folder in folders for place in PLACES[kind] if (folder / place).is_dir()]


def models_below(root: Path, pictures: Set[str] = frozenset()) -> Iterator[Path]:
    """Every model file below a folder, also through links, in a fixed order; a diffusers folder is one model.

    `pictures` are suffixes of picture files that count too, but for previews.
    """
    suffixes = _SUFFIXES | pictures
    for folder, inner, names in walked(root):
        if INDEX in names:
            inner.clear()
            yield folder
        else:
            yield from (
                folder / name for name in names if Path(name).suffix.lower() in suffixes and not _is_preview(name)
            )


def _is_preview(name: str) -> bool:
    return Path(Path(name).stem).suffix.lower() == ".preview"


def _fits(path: Path, kind: str) -> bool:
    """A VAE may lie beside its checkpoint under the name `model.vae.safetensors`."""
    return kind == "vae" or ".vae" not in [suffix.lower() for suffix in path.suffixes]


def _folded(name: str) -> str:
    return name.replace("\\", "/").casefold()


def _display_name(path: Path) -> str:
    return path.name if path.is_dir() else path.stem


def _relative(root: Path, path: Path) -> str:
    return _folded(str(path.relative_to(root)))


def _file_name(root: Path, path: Path) -> str:
    return _folded(path.name)


def _relative_stem(root: Path, path: Path) -> str:
    return _folded(str(path.relative_to(root).with_suffix("") if path.is_file() else path.relative_to(root)))


def _stem(root: Path, path: Path) -> str:
    return _folded(_display_name(path))
