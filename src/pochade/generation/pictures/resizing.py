"""Bring a picture to a size: stretched, cropped, or with its edges drawn out."""

from PIL import Image

_LANCZOS = Image.Resampling.LANCZOS


def resized(image: Image.Image, mode: str, width: int, height: int) -> Image.Image:
    """The picture at `width` x `height`; `mode` as in a Request, where "Latent upscale" leaves it as it is."""
    if mode == "Latent upscale":
        return image
    if mode == "Just resize" or image.width * height == image.height * width:
        return image.resize((width, height), _LANCZOS)
    return _cropped(image, width, height) if mode == "Crop and resize" else _drawn_out(image, width, height)


def _is_wider(image: Image.Image, width: int, height: int) -> bool:
    return image.width / image.height > width / height


def _cropped(image: Image.Image, width: int, height: int) -> Image.Image:
    """Cover the size and cut off what is beyond it, evenly."""
    covering = (image.width * height // image.height, height)
    if not _is_wider(image, width, height):
        covering = (width, image.height * width // image.width)
    result = Image.new(image.mode, (width, height))
    result.paste(image.resize(covering, _LANCZOS), (width // 2 - covering[0] // 2, height // 2 - covering[1] // 2))
    return result


def _drawn_out(image: Image.Image, width: int, height: int) -> Image.Image:
    """Fit into the size; beyond the picture its outermost row or column is repeated."""
    result = Image.new(image.mode, (width, height))
    if _is_wider(image, width, height):
        inner = image.resize((width, max(image.height * width // image.width, 1)), _LANCZOS)
        _fill_rows(result, inner)
    else:
        inner = image.resize((max(image.width * height // image.height, 1), height), _LANCZOS)
        _fill_columns(result, inner)
    result.paste(inner, (width // 2 - inner.width // 2, height // 2 - inner.height // 2))
    return result


def _fill_rows(result: Image.Image, inner: Image.Image) -> None:
    """Stretch lines without height: Pillow makes them of the rows next to them, as old pictures have it."""
    margin = result.height // 2 - inner.height // 2
    if margin <= 0:
        return
    for edge, place in ((0, 0), (inner.height, margin + inner.height)):
        band = inner.resize((inner.width, margin), box=(0, edge, inner.width, edge))
        result.paste(band, (0, place))


def _fill_columns(result: Image.Image, inner: Image.Image) -> None:
    margin = result.width // 2 - inner.width // 2
    if margin <= 0:
        return
    for edge, place in ((0, 0), (inner.width, margin + inner.width)):
        band = inner.resize((margin, inner.height), box=(edge, 0, edge, inner.height))
        result.paste(band, (place, 0))
