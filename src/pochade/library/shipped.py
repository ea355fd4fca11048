"""Where the model is that comes with Pochade."""

from importlib.resources import files as package_files
from pathlib import Path


def shipped_model() -> Path:
    """The model that comes with Pochade."""
    return Path(str(package_files("pochade.picturebook"))) / "picturebook.safetensors"
