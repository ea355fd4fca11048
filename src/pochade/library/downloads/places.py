"""Where a model belongs in a folder of models: as the folder is laid out already, else as A1111 does it."""

from pathlib import Path

from pochade.errors import UsageError
from pochade.library.find import models_below
from pochade.library.hub import is_cache
from pochade.library.places import PLACES, places_of

_WEBUI = {
    "checkpoint": "Stable-diffusion",
    "unet": "Stable-diffusion",
    "vae": "VAE",
    "lora": "Lora",
    "embedding": "embeddings",
    "hypernetwork": "hypernetworks",
    "controlnet": "ControlNet",
    "upscaler": "ESRGAN",
    "text-encoder": "text_encoder",
}
_COMFY = {
    "checkpoint": "checkpoints",
    "unet": "diffusion_models",
    "vae": "vae",
    "lora": "loras",
    "embedding": "embeddings",
    "hypernetwork": "hypernetworks",
    "controlnet": "controlnet",
    "upscaler": "upscale_models",
    "text-encoder": "text_encoders",
}
_MATRIX = _WEBUI | {
    "checkpoint": "StableDiffusion",
    "unet": "DiffusionModels",
    "embedding": "Embeddings",
    "hypernetwork": "Hypernetwork",
    "text-encoder": "TextEncoders",
}


def _below(base: str, names: dict[str, str]) -> dict[str, str]:
    return {kind: f"{base}{name}" for kind, name in names.items()}


_LAYOUTS = (
    _below("models/", _WEBUI) | {"embedding": "embeddings"},
    _below("models/", _COMFY),
    _below("Data/Models/", _MATRIX),
    _below("Models/", _MATRIX),
    *(_WEBUI, _COMFY, _MATRIX),
)
"""Where each kind lies in a web UI, ComfyUI and StabilityMatrix, and in their folders of models themselves."""


def place_for(kind: str, root: Path) -> Path:
    """The folder below `root` for models of a kind; `root` itself for a kind without one, and where models lie loose.

    Raises UsageError when there is no such folder of models.
    """
    if not root.is_dir():
        raise UsageError(f"{root}: there is no such models folder; make it, or check --models and POCHADE_MODELS.")
    if is_cache(root):
        raise UsageError(f"{root} is Hugging Face's cache, which only its own programs fill; name another folder.")
    if kind in PLACES and (there := places_of([root], kind)):
        return there[0]
    if kind not in _WEBUI or _holds_models(root):
        return root
    layout = max(_LAYOUTS, key=lambda each: len({place for place in each.values() if (root / place).is_dir()}))
    return root / layout[kind]


def places_in(root: Path) -> list[Path]:
    """Every folder of models below `root` that is there, and `root` itself."""
    return [*dict.fromkeys(place for kind in PLACES for place in places_of([root], kind)), root]


def _holds_models(root: Path) -> bool:
    """Whether models lie in the folder itself: a place of their kind beside them would hide those that are there."""
    first = next(models_below(root), None)
    return first is not None and first.parent == root
