"""The pixels of a run over a picture: what it begins with, where it draws, and what is laid over the result."""

from dataclasses import dataclass, replace

from PIL import Image, ImageColor, ImageOps

from pochade.errors import UsageError
from pochade.generation.pictures.masks import (
    Box,
    belongs,
    blurred,
    covered,
    cut_out,
    doubled,
    filled,
    in_proportion,
    mask_of,
)
from pochade.generation.pictures.resizing import resized
from pochade.generation.pictures.sizes import SMALLEST
from pochade.generation.request import Request

FITTED = "Resize and fill"
"""How a part of a picture is brought to the size of the run."""


@dataclass(frozen=True, eq=False)
class Canvas:
    """One picture as a run begins with it, RGB, and the mask of what is drawn anew, both of the size of the run.

    `original` is the picture that the result is put back into, at `place`, and `hole` where it does not cover it.
    `source` is the whole picture as it was given, on its background.
    """

    image: Image.Image
    mask: Image.Image | None = None
    original: Image.Image | None = None
    hole: Image.Image | None = None
    place: Box | None = None
    source: Image.Image | None = None

    def finished(self, result: Image.Image, hole: Image.Image | None = None) -> Image.Image:
        """The result with everything that is not drawn anew as it was.

        `hole`, of the size of the run, counts in place of the canvas's own.
        """
        if self.original is None or self.hole is None:
            return result
        whole = self.put_back(result).convert("RGBA")
        whole.alpha_composite(cut_out(self.original, self.put_back(hole) if hole else self.hole))
        return whole.convert("RGB")

    def put_back(self, result: Image.Image) -> Image.Image:
        """The result in its place in the original picture, which is black elsewhere."""
        if self.place is None or self.original is None:
            return result
        left, top, right, bottom = self.place
        whole = Image.new(result.mode, self.original.size)
        whole.paste(resized(result, "Crop and resize", right - left, bottom - top), (left, top))
        return whole


def canvas_of(image: Image.Image, mask: Image.Image | None, request: Request, size: tuple[int, int]) -> Canvas:
    """Prepare a picture, and its mask if there is one, for a run of this width and height.

    A mask that covers nothing counts, where only the masked part is wanted, as none; with a mask, a picture whose
    latents would be resized is resized itself. Raises UsageError for a mask of another proportion than the picture.
    """
    source = flattened(image, request.background)
    return replace(_prepared(source, mask, request, size), source=source)


def _prepared(image: Image.Image, mask: Image.Image | None, request: Request, size: tuple[int, int]) -> Canvas:
    mode = request.resize_mode
    if mask is None:
        return Canvas(_with_latents(image) if mode == "Latent upscale" else resized(image, mode, *size))
    mode = "Just resize" if mode == "Latent upscale" else mode
    mask = _softened(_fitting(mask, image), request)
    if request.only_masked:
        return _part(image, mask, request, size) or Canvas(resized(image, mode, *size))
    mask, image = (resized(each, mode, *size) for each in (mask, image))
    return _canvas(image, mask, request, image, doubled(mask), None)


def _with_latents(image: Image.Image) -> Image.Image:
    """The picture itself, if it is large enough to have latents, which are resized later."""
    if min(image.size) < SMALLEST:
        found = f"The picture has {image.width}x{image.height} pixels"
        raise UsageError(f"{found}; latent upscale needs sides of {SMALLEST} at least: take another resize mode.")
    return image


def _part(image: Image.Image, mask: Image.Image, request: Request, size: tuple[int, int]) -> Canvas | None:
    """A canvas of only the part that the mask covers."""
    box = covered(mask, request.padding)
    if box is None:
        return None
    place = in_proportion(box, *size, mask.size)
    inner, part = (resized(each.crop(place), FITTED, *size) for each in (mask, image))
    return _canvas(part, inner, request, image, mask, place)


def _canvas(
    image: Image.Image, mask: Image.Image, request: Request, original: Image.Image, hole: Image.Image, place: Box | None
) -> Canvas:
    if request.fill != "original":
        image = filled(image, mask)
    hole = hole if hole.size == original.size else resized(hole, FITTED, *original.size)
    return Canvas(image, mask, original if request.paste_back else None, hole, place)


def _softened(mask: Image.Image, request: Request) -> Image.Image:
    mask = mask_of(mask, request.rounds_mask)
    if request.invert_mask:
        mask = ImageOps.invert(mask)
    across = request.mask_blur
    return blurred(mask, across, across if request.mask_blur_y is None else request.mask_blur_y)


def _fitting(mask: Image.Image, image: Image.Image) -> Image.Image:
    """The mask at the picture's size."""
    if mask.size == image.size:
        return mask
    if not belongs(mask, image):
        raise UsageError(
            f"The mask is {mask.width}x{mask.height} and the picture {image.width}x{image.height}; a mask must have "
            "the picture's proportion: make it from the picture itself."
        )
    return mask.resize(image.size, Image.Resampling.BICUBIC)


def flattened(image: Image.Image, background: str) -> Image.Image:
    """The picture in RGB, on a colour where it is transparent."""
    if image.mode != "RGBA":
        return image.convert("RGB")
    try:
        colour = ImageColor.getcolor(background, "RGBA")
    except ValueError as error:
        raise UsageError(f'background is {background!r}; it must be a colour such as "#ffffff" or "white".') from error
    ground = Image.new("RGBA", image.size, colour)
    ground.paste(image, mask=image)
    return ground.convert("RGB")
