"""Folders of pictures: what lies in them, and which mask belongs to which picture."""

import re
from dataclasses import replace
from pathlib import Path

from PIL import Image

from pochade.errors import FileError, MissingFileError, UsageError
from pochade.generation.pictures.inputs import Inputs
from pochade.generation.pictures.masks import belongs
from pochade.generation.request import Request

_NUMBER = re.compile(r"(\d+)")


def is_folder(request: Request) -> bool:
    """Whether a request names a folder as the picture that it begins with."""
    return bool(request.image) and Path(request.image).is_dir()


def requests_over(request: Request) -> list[Request]:
    """The request for each picture in the folder that it names as its picture; itself, if that is a file.

    All get the same seed. Raises UsageError for a folder without pictures.
    """
    if not is_folder(request):
        return [request]
    request = request.with_seeds()
    return [replace(request, image=str(path)) for path in _pictures_in(Path(request.image))]


def with_partners(request: Request) -> Request:
    """The request with the file of the picture's name in place of a folder of masks, or of others that go with it.

    Raises MissingFileError where there is none, UsageError for a folder that goes with no picture.
    """
    picture = Path(request.image) if request.image else None
    units = tuple(replace(unit, image=_partner("control picture", unit.image, picture)) for unit in request.controls)
    mask, depth = _partner("mask", request.mask, picture), _partner("depth map", request.depth, picture)
    return replace(request, mask=mask, depth=depth, controls=units)


def pictures_of(request: Request) -> list[str]:
    """The files of all pictures that a request begins with or looks at."""
    request = with_partners(request)
    names = [request.image, request.mask, request.depth]
    names += [name for unit in request.controls for name in (unit.image, unit.mask)]
    return [name for name in names if name]


def check_mask(request: Request, inputs: Inputs) -> None:
    """Raise FileError, which names the mask's file, for a mask of another proportion than the picture."""
    if not inputs.mask or not inputs.images:
        return
    mask, image = inputs.mask, inputs.images[0]
    if not belongs(mask, image):
        found = f"this mask is {mask.width}x{mask.height} and the picture {request.image} {image.width}x{image.height}"
        raise FileError(request.mask, f"{found}; both must have one proportion: make the mask from the picture itself.")


def _partner(what: str, name: str, picture: Path | None) -> str:
    """The file, or the one in the folder, that goes with a picture."""
    if not name or not Path(name).is_dir():
        return name
    if picture is None:
        raise UsageError(
            f"{name}: a folder for the {what} needs pictures of the same names to begin with (img2img --image); "
            "name one file."
        )
    for path in _pictures_in(Path(name)):
        if path.stem == picture.stem:
            return str(path)
    raise MissingFileError(picture, f"there is no {what} of this name for it in {name}.")


def _pictures_in(folder: Path) -> list[Path]:
    """The files with a picture's suffix, in the order of their names, where 2 is before 10."""
    suffixes = Image.registered_extensions()
    found = [path for path in folder.iterdir() if path.suffix.lower() in suffixes and path.is_file()]
    pictures = [path for path in found if not path.name.startswith(".")]
    if not pictures:
        raise UsageError(f"{folder}: there is no picture in this folder.")
    return sorted(pictures, key=_order)


def _order(path: Path) -> list[tuple[int, str]]:
    """The name as text, number, text, number..., each as far as it can be compared; capitals decide last."""
    parts = _NUMBER.split(path.name.casefold())
    return [(int(part), "") if place % 2 else (0, part) for place, part in enumerate(parts)] + [(0, path.name)]
