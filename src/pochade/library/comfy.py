"""The further folders that ComfyUI looks into, as its `extra_model_paths.yaml` names them."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pochade.errors import MalformedFileError
from pochade.files.mapped import reading

_FILE = "extra_model_paths.yaml"
_MOST_BYTES = 1_000_000
_KINDS = {
    "checkpoints": "checkpoint",
    "diffusers": "checkpoint",
    "vae": "vae",
    "loras": "lora",
    "embeddings": "embedding",
    "hypernetworks": "hypernetwork",
    "controlnet": "controlnet",
    "upscale_models": "upscaler",
    "clip": "text-encoder",
    "text_encoders": "text-encoder",
    "unet": "unet",
    "diffusion_models": "unet",
}


@dataclass(frozen=True)
class ExtraFolder:
    """A folder for models of one kind; `is_first` if it goes before ComfyUI's own."""

    folder: Path
    kind: str
    is_first: bool


def settings(root: Path) -> Path:
    """Where a ComfyUI folder names further ones."""
    return root / _FILE


def extra_folders(root: Path) -> list[ExtraFolder]:
    """The further folders of all sections, in their order, whether they are there or not; none without the file.

    Raises MalformedFileError when it is not what ComfyUI reads.
    """
    path = settings(root)
    if not path.is_file():
        return []
    sections = _read(path)
    return [found for name, section in sections.items() for found in _of_section(path, str(name), section)]


def _read(path: Path) -> dict[object, Any]:
    import yaml  # type: ignore[import-untyped]  # deferred: few folders have such a file

    with reading(path), path.open("rb") as file:
        content = file.read(_MOST_BYTES)
    try:
        found = yaml.safe_load(content)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        problem = " ".join(str(error).split())
        raise MalformedFileError(path, f"is no YAML: {problem}; mend it, or move it away") from error
    if found is not None and not isinstance(found, dict):
        raise MalformedFileError(path, "has no sections; each needs a name, and kinds with their folders below it")
    return found or {}


def _of_section(path: Path, name: str, section: object) -> Iterator[ExtraFolder]:
    """Folders are one to a line, beside the `base_path`, else beside the file itself."""
    if section is None:
        return
    if not isinstance(section, dict):
        raise MalformedFileError(path, f"says {section!r:.50} in {name[:50]!r}; kinds with their folders belong there")
    base = (path.parent / os.path.expandvars(os.path.expanduser(str(section.get("base_path") or "")))).resolve()
    is_first = section.get("is_default") is True
    for word, lines in section.items():
        if (kind := _KINDS.get(str(word))) and isinstance(lines, str):
            folders = [line.strip() for line in lines.splitlines() if line.strip()]
            yield from (ExtraFolder(base / os.path.expanduser(each), kind, is_first) for each in folders)
