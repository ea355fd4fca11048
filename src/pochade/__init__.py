"""Pochade: Stable Diffusion model files, pictures and training in one offline tool.

Names are resolved on first use, so that importing the package costs nothing.
"""

from importlib import import_module

__version__ = "0.1.0"

_HOMES = {
    "open": "pochade.files",
    "save": "pochade.files",
    "Weights": "pochade.files",
    "inspect": "pochade.operations.inspect",
    "scan": "pochade.files",
    "convert": "pochade.operations.convert",
    "merge": "pochade.operations.recipes",
    "resize": "pochade.operations.resize",
    "download": "pochade.library.downloads",
    "upscale": "pochade.generation.upscaling",
    "Library": "pochade.operations.catalogue",
    "Pipeline": "pochade.generation",
    "Request": "pochade.generation",
    "Picture": "pochade.generation",
    "train": "pochade.training",
    "PochadeError": "pochade.errors",
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> object:
    """Resolve a public name from its home module."""
    if name not in _HOMES:
        raise AttributeError(f"module 'pochade' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
