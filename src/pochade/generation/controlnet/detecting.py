"""What a preprocessor makes of a picture, by itself, without drawing."""

from pathlib import Path

from PIL import Image

from pochade.generation.controlnet.control_unit import ControlUnit
from pochade.generation.controlnet.hints import hint_of
from pochade.generation.picture import Picture
from pochade.generation.pictures.canvas import flattened
from pochade.generation.pictures.input_picture import open_picture
from pochade.generation.pictures.masks import mask_of
from pochade.preprocessors import networks_of
from pochade.preprocessors.learned import Network


def detected(
    unit: ControlUnit, image: Path, mask: Path | None = None, size: tuple[int, int] | None = None, seed: int = 0
) -> Picture:
    """The hint of a control for a picture. Holes that inpainting would fill are black in it."""
    hole = mask_of(open_picture(mask)) if mask else None
    hint = hint_of(unit, flattened(open_picture(image), "white"), hole, size, seed, _networks(unit))
    return Picture(Image.fromarray(hint if hint.dtype == "uint8" else (hint.clip(0, 1) * 255).round().astype("uint8")))


def _networks(unit: ControlUnit) -> dict[str, Network]:
    """What the preprocessor looks with; torch is loaded for those only that look with something."""
    if not networks_of(unit.preprocessor):
        return {}
    from pochade.generation.controlnet.annotators import networks_for
    from pochade.generation.model import device_of

    return networks_for(unit, device_of("auto"))
