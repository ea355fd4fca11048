"""Make pictures larger: files or images in, Pictures out that keep the text of how they were made."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from PIL import Image

import pochade
from pochade.errors import MalformedFileError, UsageError
from pochade.events import Event, Made, Step, Warned
from pochade.generation.parameters import infotext
from pochade.generation.picture import Picture, read_metadata
from pochade.generation.pictures.input_picture import as_rgb, open_picture
from pochade.generation.pictures.sizes import check_sides
from pochade.generation.pictures.tiles import Tiles
from pochade.generation.pictures.upscalers import LANCZOS, NONE, Size, Upscaler, check_size, upscaler_named
from pochade.generation.rules import Rule, canonical, check, option

Source = Path | str | Image.Image | Picture


@dataclass(frozen=True)
class Upscaling:
    """How to make pictures larger.

    >>> Upscaling(size=(512, 0)).target((128, 96))
    (512, 384)
    """

    scale: float = option(2.0, "How many times larger.", least=0.01, most=64)
    size: tuple[int, int] | None = option(
        None, "Width and height to cover, in place of a scale; 0 leaves a side to the other.", least=0, most=100_000
    )
    crop: bool = option(False, "Cut off what is outside of the size.")
    upscaler: str = option(LANCZOS, "None, Lanczos, Nearest or a model file.")
    upscaler2: str = option(NONE, "A second one, blended over the first.")
    visibility: float = option(0.5, "How much of the second one is seen.", least=0, most=1)
    tile: int = option(192, "Side of the tiles that models work on; 0 takes the whole picture.", least=0, most=8192)
    overlap: int = option(8, "Pixels that neighbouring tiles share.", least=0, most=4096)
    device: str = option("auto", "Where to compute.", choices=("auto", "cpu", "cuda"))
    dtype: str = option("auto", "Numbers to compute with.", choices=("auto", "fp32", "bf16", "fp16"))

    def __post_init__(self) -> None:
        """Bring equal ones to one form: floats are floats, choices have their one spelling."""
        for name, (kind, rule) in _rules().items():
            object.__setattr__(self, name, canonical(vars(self)[name], kind, rule))

    def validate(self) -> "Upscaling":
        """Return the same, or say which field cannot be as it is."""
        for name, (kind, rule) in _rules().items():
            check(name, vars(self)[name], (kind, name == "size"), rule)
        if self.size == (0, 0):
            raise UsageError("size is 0x0; at least one side must be given.")
        if self.tile and not self.overlap <= self.tile // 2:
            raise UsageError(f"overlap is {self.overlap}; it must be half of tile, which is {self.tile}, at most.")
        return self

    def target(self, size: Size) -> Size:
        """The size of a picture afterwards, before it is cropped."""
        growth = max(self.size[0] / size[0], self.size[1] / size[1]) if self.size else self.scale
        return max(1, round(size[0] * growth)), max(1, round(size[1] * growth))

    @property
    def has_second(self) -> bool:
        """Whether a second upscaler shows."""
        return self.upscaler2.casefold() != NONE.casefold() and self.visibility > 0

    @property
    def tiles(self) -> Tiles:
        """How pictures are cut for a model."""
        return Tiles(self.tile, self.overlap)


@lru_cache(maxsize=1)
def _rules() -> dict[str, tuple[type, Rule]]:
    """Every field with the type of its values and its rule."""
    kinds = {each.name: tuple if each.name == "size" else type(each.default) for each in fields(Upscaling)}
    return {each.name: (kinds[each.name], each.metadata["rule"]) for each in fields(Upscaling)}


@dataclass(frozen=True)
class Upscalers:
    """The upscalers of an Upscaling, loaded once for many pictures."""

    first: Upscaler
    second: Upscaler | None = None

    @classmethod
    def load(cls, options: Upscaling) -> "Upscalers":
        """Load what the options name. Raises FileError where a model file cannot be used."""
        first = upscaler_named(options.upscaler, options.device, options.dtype)
        second = upscaler_named(options.upscaler2, options.device, options.dtype) if options.has_second else None
        return cls(first, second)


def upscale(source: Source, scale: float = 2.0, **settings: Any) -> Picture:
    """Make a picture larger; `settings` are an Upscaling's fields.

    >>> upscale("house.png", 4, upscaler="RealESRGAN_x4plus.pth").save("large.png")  # doctest: +SKIP
    """
    events = upscaling(source, Upscaling(scale, **settings))
    picture: Picture = next(event.result for event in events if isinstance(event, Made))
    return picture


def upscaling(
    source: Source, options: Upscaling, upscalers: Upscalers | None = None, format: str = ""
) -> Iterator[Event]:
    """Make one picture larger: a Step after each tile, then Made with the Picture.

    `format` is that of the file it is meant for: what cannot be saved in it is refused before the work.
    """
    upscalers = upscalers or Upscalers.load(options.validate())
    picture = yield from _opened(source)
    image = picture.image
    target = options.target(image.size)
    check_sides(target, format)
    check_size(target)
    if format == "JPEG" and image.mode == "RGBA":
        yield Warned("JPEG has no transparency, so the picture is put on white.")
        image = _on_white(image)
    result = yield from blended(image, target, options, upscalers)
    if options.size and options.crop:
        result = _cropped(result, options.size)
    result.info = dict(image.info)
    text = with_parameters(picture.infotext, _parameters(options, upscalers))
    yield Made(Picture(result, picture.request, picture.index, text))


def blended(
    image: Image.Image, size: Size, options: Upscaling, upscalers: Upscalers
) -> Generator[Step, None, Image.Image]:
    """A picture brought to `size` by one upscaler, or by two of which the second one shows through."""
    first = yield from upscalers.first.enlarge(image, size, options.tiles)
    if upscalers.second is None:
        return first
    second = yield from upscalers.second.enlarge(image, size, options.tiles)
    return Image.blend(first, second, options.visibility)


def with_parameters(text: str, parameters: dict[str, Any]) -> str:
    """A1111's text block with more parameters at its end; nothing of it is replaced."""
    if infotext.read(text)[2]:
        return f"{text.rstrip()}, {infotext.write('', '', parameters)}"
    line = infotext.write("", "", parameters | {"Version": f"pochade {pochade.__version__}"})
    return f"{text}\n{line}".strip()


def _opened(source: Source) -> Generator[Event, None, Picture]:
    """The source with what it knows of its making; a record that cannot be read is left out."""
    if isinstance(source, Image.Image):
        return Picture(as_rgb(source))
    if isinstance(source, Picture):
        return replace(source, image=as_rgb(source.image))
    notes: list[str] = []
    image = open_picture(source, notes.append)
    yield from map(Warned, notes)
    try:
        return replace(Picture.open(source), image=image)
    except MalformedFileError as error:
        yield Warned(str(error))
        return Picture(image, infotext=read_metadata(source).infotext)


def _on_white(image: Image.Image) -> Image.Image:
    ground = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(ground, image).convert("RGB")


def _cropped(image: Image.Image, size: Size) -> Image.Image:
    """The middle of a picture; a side of 0 stays whole."""
    width, height = size[0] or image.width, size[1] or image.height
    left, top = image.width // 2 - width // 2, image.height // 2 - height // 2
    return image.crop((left, top, left + width, top + height))


def _parameters(options: Upscaling, upscalers: Upscalers) -> dict[str, Any]:
    """What A1111 writes after its Extras tab, and the share of the second upscaler."""
    size = f"{options.size[0]}x{options.size[1]}" if options.size else None
    second = upscalers.second
    return {
        "Postprocess upscale by": None if size else f"{options.scale:g}",
        "Postprocess upscale to": size,
        "Postprocess crop to": size if options.crop else None,
        "Postprocess upscaler": upscalers.first.name,
        "Postprocess upscaler 2": second.name if second else None,
        "Postprocess upscaler 2 visibility": f"{options.visibility:g}" if second else None,
    }
