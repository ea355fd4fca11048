"""Read a picture that the user brings: whatever form its file has, it comes upright, in RGB or RGBA of 8 bits."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from pochade.errors import MalformedFileError, MissingFileError

MOST_PIXELS = 160_000_000
"""Larger pictures are refused before a pixel is read."""
_LIMIT = f"only {MOST_PIXELS // 1_000_000} million pixels can be read"

# Those that hold pixels; others, such as EPS, would start another program.
_FORMATS = (
    *("PNG", "JPEG", "MPO", "WEBP", "AVIF", "GIF", "BMP", "DIB", "TIFF", "PPM", "TGA", "ICO", "JPEG2000", "QOI"),
)
_NO_FRAMES = {"MPO", "ICO"}  # what lies beside the first picture are depths, previews and smaller copies
_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_BROKEN = (OSError, ValueError, SyntaxError, RuntimeError)  # as Pillow tells of damaged files
_PROFILE = "icc_profile"


def open_picture(source: Path | str | BinaryIO, tell: Callable[[str], None] | None = None) -> Image.Image:
    """The picture of a file, RGB, or RGBA where some of it is transparent.

    Of several frames it is the first; `tell` gets a sentence about that. A profile of its colours stays in `info`.
    Raises FileError when there is no picture that can be used.
    """
    label = "the picture" if not isinstance(source, Path | str) else str(source)
    if isinstance(source, Path | str) and not Path(source).is_file():
        raise MissingFileError(label, "there is no such image file; check the path.")
    Image.init()
    try:
        # damaged Exif counts as none, and the size is looked at here
        with warnings.catch_warnings(action="ignore"), Image.open(source, formats=_known_formats()) as image:
            _check_size(label, image.size)
            image.load()
            picture = as_rgb(image, label)
            frames = _frames(image)
    except Image.DecompressionBombError as error:
        raise MalformedFileError(label, f"this image is far too large; {_LIMIT}.") from error
    except _BROKEN as error:
        raise MalformedFileError(label, f"this is no image that can be read: {error}.") from error
    if tell and frames > 1:
        tell(f"{label} holds {frames} frames; only the first one is used.")
    return picture


def as_rgb(image: Image.Image, label: str = "the picture") -> Image.Image:
    """Any image upright and in 8 bits: RGBA where some of it is transparent, RGB elsewhere.

    CMYK is converted without its profile, which is then of no use.
    """
    _check_size(label, image.size)
    image = _upright(image)
    profile = image.info.get(_PROFILE) if image.mode in ("RGB", "RGBA", "P", "PA") else None
    if image.mode == "F":
        raise MalformedFileError(label, "this image has floats for pixels; save it with 8 or 16 bits a channel.")
    if image.mode.startswith("I"):
        image = Image.fromarray((np.asarray(image).clip(0, 0xFFFF) >> 8).astype(np.uint8))
    picture = image.convert("RGBA" if image.has_transparency_data else "RGB")
    if picture.mode == "RGBA" and picture.getchannel("A").getextrema() == (255, 255):
        picture = picture.convert("RGB")
    picture.info = {_PROFILE: profile} if profile else {}
    return picture


def _known_formats() -> list[str]:
    """The formats that this Pillow was built with."""
    return [name for name in _FORMATS if name in Image.OPEN]


def _check_size(label: str, size: tuple[int, int]) -> None:
    width, height = size
    if min(size) < 1:
        raise MalformedFileError(label, f"this image is {width}x{height} pixels; it shows nothing.")
    if width * height > MOST_PIXELS:
        raise MalformedFileError(label, f"this image is {width}x{height} pixels; {_LIMIT}.")


def _frames(image: Image.Image) -> int:
    """How many frames there are; what is damaged behind the first one does not matter."""
    try:
        return 1 if image.format in _NO_FRAMES else int(getattr(image, "n_frames", 1))
    except (*_BROKEN, EOFError, IndexError, TypeError):
        return 1


def _upright(image: Image.Image) -> Image.Image:
    """Turned as its Exif tells; without Exif that can be read it stays as it is."""
    try:
        orientation = image.getexif().get(_ORIENTATION)
    except _BROKEN:
        return image
    return image.transpose(_TURNS[orientation]) if orientation in _TURNS else image
