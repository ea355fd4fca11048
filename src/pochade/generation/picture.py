"""A Picture: the image together with the Request that made it, in one PNG, JPEG or WEBP file.

Beside A1111's text block travels the full record: in PNG as a text chunk named `pochade`, in JPEG and WEBP as
Exif MakerNote, the place that Exif keeps for a program's own data.
"""

import json
import warnings
from dataclasses import dataclass, field, replace
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image, PngImagePlugin

import pochade
from pochade.errors import MalformedFileError, MissingFileError, PochadeError, UsageError
from pochade.generation.foreign.reading import read_settings, settings_of
from pochade.generation.foreign.texts import texts_in
from pochade.generation.parameters.fields import describe
from pochade.generation.parameters.infotext import read
from pochade.generation.parameters.picture_fields import RunFacts
from pochade.generation.parameters.settings import Settings
from pochade.generation.pictures.inputs import Inputs
from pochade.generation.request import Request

_EXIF_IFD = 0x8769
_USER_COMMENT = 0x9286
_MAKER_NOTE = 0x927C
_UNICODE = b"UNICODE\0"
_MARK = b"Pochade\0"
_LONGEST_EXIF = 65_500  # one JPEG segment
_DECIDED_LATER = 1_000  # bytes of what a request does not say before a model is there: hashes, sampler, seed...
_TOO_LONG = "The prompt is too long to travel inside a JPEG file; save the picture as PNG or WEBP."
_INPUT = b"poIn"  # a private PNG chunk: a name, a zero byte, and a picture that the run began with, as PNG

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}


@dataclass(frozen=True)
class Picture:
    """One drawn image, the request that draws it again, and its place in that request's batch."""

    image: Image.Image
    request: Request | None = None
    index: int = 0
    infotext: str = ""
    inputs: Inputs = field(default_factory=Inputs)

    @classmethod
    def made(
        cls,
        image: Image.Image,
        request: Request,
        index: int,
        inputs: Inputs | None = None,
        facts: RunFacts | None = None,
    ) -> "Picture":
        """The picture that a resolved request gave as its number `index`, from `inputs`; `facts` go into its text."""
        record, place = request.portable().batch_of(index)
        inputs = inputs or Inputs()
        if (index - place) % max(len(inputs.images), 1):  # the batch begins with another image than the run
            inputs = inputs.beginning_with(index - place)
            record = replace(record, image_hash=inputs.hashes()["image"])
        return cls(image, record, place, describe(record, place, facts), inputs)

    @property
    def seed(self) -> int | None:
        """The seed of this picture."""
        return None if self.request is None else self.request.seed_of(self.index)

    def save(self, path: Path | str, quality: int = 95, keep_inputs: bool = False) -> Path:
        """Write the picture with all it knows. The file appears whole or not at all; 100 makes WEBP lossless.

        `keep_inputs` puts the pictures that it began with into the file, which must be a PNG then.
        """
        from pochade.files.saving import replacing  # deferred: reading pictures needs no numpy

        path = Path(path)
        name = format_of(path)
        if not 0 <= quality <= 100:
            raise UsageError(f"The quality is {quality}; it must be a whole number from 0 to 100.")
        if keep_inputs and name != "PNG":
            raise UsageError(f"{path.name}: only PNG files hold the pictures that a picture began with; save as .png.")
        options = self._png_options(keep_inputs) if name == "PNG" else self._exif_options(name, quality)
        path.parent.mkdir(parents=True, exist_ok=True)
        image = self.image.convert("RGB") if name == "JPEG" else self.image
        with replacing(path) as file:
            image.save(file, name, **options)
        return path

    def _record(self) -> str:
        return _recorded(self.request, self.index) if self.request else ""

    def _png_options(self, keep_inputs: bool) -> dict[str, Any]:
        chunks = PngImagePlugin.PngInfo()
        for name, text in (("parameters", self.infotext), ("pochade", self._record())):
            if text:
                chunks.add_text(name, text)  # tEXt, or iTXt for what Latin-1 cannot say
        for name, image in self.inputs.named().items() if keep_inputs else ():
            chunks.add(_INPUT, name.encode() + b"\0" + _as_png(image))
        return {"pnginfo": chunks}

    def _exif_options(self, name: str, quality: int) -> dict[str, Any]:
        exif = _exif(self.infotext, self._record())
        if name == "JPEG" and len(exif.tobytes()) > _LONGEST_EXIF:
            raise UsageError(_TOO_LONG)
        exact = {"subsampling": 0} if name == "JPEG" else {"lossless": quality >= 100}
        return {"exif": exif, "quality": quality, **exact}

    @classmethod
    def open(cls, path: Path | str) -> "Picture":
        """Read an image file with what it tells about its making; files of other programs are read too."""
        image, metadata = _opened(Path(path))
        return cls(image, metadata.request, metadata.index, metadata.infotext, metadata.inputs)


@dataclass(frozen=True)
class Metadata:
    """What an image file tells about its making. `record` is Pochade's own JSON, empty in other programs' files."""

    path: Path
    format: str
    size: tuple[int, int]
    infotext: str = ""
    record: str = ""
    inputs: Inputs = field(default_factory=Inputs)
    settings: Settings = field(default_factory=Settings)

    @cached_property
    def _parsed(self) -> dict[str, Any]:
        try:
            found = json.loads(self.record or "{}")
            request = Request.from_dict(found["request"]) if self.record else None
            index = int(found.get("index", 0))
            if request and not 0 <= index < request.count:
                raise UsageError(f"its place is {index} of {request.count} pictures")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, PochadeError) as error:
            raise MalformedFileError(self.path, f"its record of how it was made cannot be read: {error}") from error
        return {"request": request, "index": index}

    @property
    def request(self) -> Request | None:
        """The request that draws the picture again, if Pochade made it."""
        found: Request | None = self._parsed["request"]
        return found

    @property
    def index(self) -> int:
        """The picture's place in its request's batch."""
        return int(self._parsed["index"])

    @property
    def is_upscaled(self) -> bool:
        """Whether the picture was made larger after it was drawn."""
        return any(name.startswith("Postprocess upscale") for name in read(self.infotext)[2])


def format_of(path: Path) -> str:
    """The image format that a file's name asks for."""
    if path.suffix.lower() not in FORMATS:
        known = ", ".join(FORMATS)
        raise UsageError(f"{path.name}: {path.suffix or 'no suffix'} names no image format; use one of {known}.")
    return FORMATS[path.suffix.lower()]


def check_text(request: Request, format: str) -> None:
    """Raise UsageError, before anything is drawn, where a format has no room for what a picture tells of a request."""
    if format != "JPEG":
        return
    if len(_exif(describe(request), _recorded(request)).tobytes()) > _LONGEST_EXIF - _DECIDED_LATER:
        raise UsageError(_TOO_LONG)


def read_metadata(path: Path | str) -> Metadata:
    """What an image file tells about its making."""
    return _opened(Path(path))[1]


def metadata_of_text(path: Path, text: str) -> Metadata:
    """What a text by itself tells: A1111's block, or the JSON of another program."""
    infotext, settings = read_settings(texts_in(text.strip()))
    return Metadata(path, "text", (0, 0), infotext, settings=settings)


def _opened(path: Path) -> tuple[Image.Image, Metadata]:
    if not path.is_file():
        raise MissingFileError(path, "there is no such image file; check the path.")
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(path) as image:  # damaged Exif counts as none
            image.load()
            infotext, settings = settings_of(image)
            told = (infotext, _record_in(image), _inputs_in(image), settings)
            return image.copy(), Metadata(path, image.format or "", image.size, *told)
    except (OSError, ValueError, SyntaxError, RuntimeError, Image.DecompressionBombError) as error:
        raise MalformedFileError(path, f"this is no image that can be read: {error}") from error


def _recorded(request: Request, index: int = 0) -> str:
    """Pochade's own JSON of how picture `index` of a request was made."""
    record = {"program": f"pochade {pochade.__version__}", "index": index}
    return json.dumps(record | {"request": request.portable().to_dict()})


def _exif(infotext: str, record: str) -> Image.Exif:
    exif = Image.Exif()
    details = exif.get_ifd(_EXIF_IFD)
    if infotext:
        details[_USER_COMMENT] = _UNICODE + infotext.encode("utf-16-be")
    if record:
        details[_MAKER_NOTE] = _MARK + record.encode()
    return exif


def _record_in(image: Image.Image) -> str:
    if isinstance(image.info.get("pochade"), str):
        return str(image.info["pochade"])
    note = image.getexif().get_ifd(_EXIF_IFD).get(_MAKER_NOTE)
    if isinstance(note, bytes) and note.startswith(_MARK):
        return note.removeprefix(_MARK).decode(errors="replace")
    return ""


def _as_png(image: Image.Image) -> bytes:
    file = BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def _inputs_in(image: Image.Image) -> Inputs:
    """The pictures that a PNG file keeps beside its own."""
    chunks = [chunk for chunk in getattr(image, "private_chunks", ()) if chunk[0] == _INPUT]
    if not chunks:
        return Inputs()
    from pochade.generation.pictures.input_picture import open_picture  # deferred with numpy

    parts = [chunk[1].partition(b"\0") for chunk in chunks]
    return Inputs.of_named({name.decode(errors="replace"): open_picture(BytesIO(data)) for name, _, data in parts})
