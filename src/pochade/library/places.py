"""Where the models of each kind lie below a folder, as A1111, Forge, ComfyUI, StabilityMatrix or the hub lay it out."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from pochade.library import comfy, hub

_BASES = ("models", "Models", "Data/Models")  # web UIs and ComfyUI, then StabilityMatrix, whose folder has Data in it
_NAMES = {
    "checkpoint": ("Stable-diffusion", "StableDiffusion", "checkpoints", "diffusers", "Diffusers"),
    "vae": ("VAE", "vae"),
    "controlnet": ("ControlNet", "controlnet", "T2IAdapter", "t2i_adapter"),
    "lora": ("Lora", "LyCORIS", "loras"),
    "embedding": ("embeddings", "Embeddings", "TextualInversion"),
    "hypernetwork": ("hypernetworks", "Hypernetwork"),
    "upscaler": ("ESRGAN", "RealESRGAN", "upscale_models", "BSRGAN", "SwinIR", "DAT"),
}
_INNER_NAMES = {  # folders of a single diffusers model have such names too
    "text-encoder": ("text_encoder", "text_encoders", "clip", "TextEncoders", "CLIP"),
    "unet": ("diffusion_models", "unet", "DiffusionModels", "Unet"),
}
_OTHERS = {"controlnet": ("extensions/sd-webui-controlnet/models",)}

PLACES = {
    kind: (*(f"{base}/{name}" for base, name in product(_BASES, names)), *names, *_OTHERS.get(kind, ()))
    for kind, names in _NAMES.items()
} | {kind: tuple(f"{base}/{name}" for base, name in product(_BASES, names)) for kind, names in _INNER_NAMES.items()}
"""The sub-folders of one kind."""


@dataclass(frozen=True)
class Place:
    """A folder that is looked through for models of a kind, or of any if there is none.

    `prefix` is what the names of models in it begin with.
    """

    folder: Path
    kind: str | None = None
    prefix: str = ""

    def name(self, path: Path | str) -> str:
        """What a model in it is called: sub-folders and file name, with slashes on every system."""
        inner = os.path.relpath(path, self.folder).replace(os.sep, "/")
        return "/".join(part for part in (self.prefix, inner) if part not in ("", "."))


def known_places(root: Path) -> list[Place]:
    """The places for models in a folder whose layout is known, each once; none in any other folder."""
    extra = comfy.extra_folders(root)
    own = [(kind, root / place) for kind, places in PLACES.items() for place in places]
    found = [
        *(Place(each.folder, each.kind) for each in extra if each.is_first),
        *(Place(folder, kind) for kind, folder in own),
        *(Place(each.folder, each.kind) for each in extra if not each.is_first),
        *(Place(folder, None, name) for name, folder in hub.snapshots(root)),
    ]
    return list(_there(found))


def _there(places: Iterable[Place]) -> Iterator[Place]:
    """Those that exist, each once: on some systems VAE and vae are one folder."""
    seen: set[tuple[int, int, str | None]] = set()
    for place in places:
        try:
            status = os.stat(place.folder)
        except OSError:
            continue
        identity = (status.st_dev, status.st_ino, place.kind)
        if identity not in seen and os.path.isdir(place.folder):
            seen.add(identity)
            yield place


def all_places(root: Path) -> list[Place]:
    """Everything to look through for models of all kinds: the known places, and the folder itself where none of
    them is for checkpoints.
    """
    found = known_places(root)
    return found if any(each.kind in ("checkpoint", None) for each in found) else [*found, Place(root)]


def places_for(root: Path, kind: str) -> list[Place]:
    """Where to look for a model of one kind: its own places, else the whole folder."""
    return [each for each in known_places(root) if each.kind in (kind, None)] or [Place(root)]


def places_of(folders: Iterable[Path], kind: str) -> list[Path]:
    """The folders that are meant for one kind, as far as they are there."""
    return [each.folder for folder in folders for each in known_places(folder) if each.kind == kind]


def layout_of(root: Path) -> str:
    """What people call the layout of a folder."""
    if hub.is_cache(root):
        return "Hugging Face cache"
    if comfy.settings(root).is_file() or (root / "models" / "checkpoints").is_dir():
        return "ComfyUI"
    if any((root / base / "StableDiffusion").is_dir() for base in _BASES[1:]):
        return "StabilityMatrix"
    return "web UI" if (root / "models" / "Stable-diffusion").is_dir() else "folder"
