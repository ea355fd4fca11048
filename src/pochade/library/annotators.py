"""The networks that preprocessors of ControlNets look with: found where A1111, Forge or ComfyUI put their files."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from pochade.errors import MissingFileError
from pochade.files.walking import walked
from pochade.preprocessors import check_networks, networks_of
from pochade.preprocessors.learned import FILES

PLACES = (
    "extensions/sd-webui-controlnet/annotator/downloads",
    "models/ControlNetPreprocessor",
    "custom_nodes/comfyui_controlnet_aux/ckpts",
    *("models/annotators", "ControlNetPreprocessor", "annotators"),
)
"""The sub-folders that are searched; where none of them is there, the given folder itself."""

_SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".ckpt")


def annotator_for(preprocessor: str, name: str, folders: Sequence[Path]) -> str:
    """The path of a preprocessor's network, of its first one if there are several.

    That is the file which a user names, by path or by its name in folders of models; without a name the one under its
    published name, or none (an empty text) where the preprocessor can do without. Raises UsageError where it cannot,
    MissingFileError for a name that is not there.
    """
    networks = [FILES[each] for each in networks_of(preprocessor).values()]
    if not networks or Path(name).is_file():
        return name
    found = _found(name or networks[0], folders)
    if found is None and name:
        raise MissingFileError(name, "there is no such file with a preprocessor's network; check the path or --models.")
    if found is None:
        check_networks(preprocessor, ())
    return str(found or "")


def annotator_files(preprocessor: str, path: str) -> dict[str, Path]:
    """The files of all networks of a preprocessor, by option: `path`, and those beside it under their published names.

    Raises UsageError without a path where the preprocessor cannot do without, MissingFileError where one is missing.
    """
    networks = networks_of(preprocessor)
    if not path:
        check_networks(preprocessor, ())
        return {}
    if not Path(path).is_file():
        raise MissingFileError(path, "there is no such file with a preprocessor's network; check the path.")
    first, *others = networks
    return {first: Path(path)} | {each: _beside(Path(path), FILES[networks[each]]) for each in others}


def _beside(path: Path, name: str) -> Path:
    found = _named((each for each in sorted(path.parent.iterdir()) if each.suffix.lower() in _SUFFIXES), name)
    if found is None:
        raise MissingFileError(path.parent / name, f"this is wanted beside {path.name} and is not there; get it too.")
    return found


def _found(name: str, folders: Sequence[Path]) -> Path | None:
    return _named((each for folder in folders for each in _below(folder)), name)


def _named(files: Iterator[Path], name: str) -> Path | None:
    """The file of that name, in any case of letters and with any ending of weights."""
    return next((each for each in files if each.stem.casefold() == Path(name).stem.casefold()), None)


def _below(folder: Path) -> Iterator[Path]:
    for root in [folder / place for place in PLACES if (folder / place).is_dir()] or [folder]:
        for inner, _, names in walked(root):
            yield from (inner / name for name in names if name.lower().endswith(_SUFFIXES))
