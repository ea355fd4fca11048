"""Read embeddings that A1111 hides in pictures: as a text chunk of a PNG, or in the low bits of its pixels.

The pixel form holds JSON, deflated: its low half-bytes left of the picture, its high half-bytes right of it, each
block set off by a black column and masked by a counted stream. Any lossless picture can carry it.
"""

import base64
import binascii
import json
import zlib
from typing import Any

import numpy as np

from pochade.files.mapped import MappedFile
from pochade.files.state_dict import unwrapped
from pochade.files.weights import Array, LazyArray, Weights

_CHUNK = "sd-ti-embedding"
_TENSOR = "TORCHTENSOR"
_FORMATS = ("PNG", "WEBP")
MOST_PIXELS = 64_000_000
"""More than any picture needs: larger ones are bombs."""
_MOST_TEXT = 16_000_000
_MULTIPLIER, _INCREMENT, _STREAM_RANGE = 1664525, 1013904223, 255
_HALF_BYTE = 0x0F


def recognises(head: bytes) -> bool:
    """Tell whether a file begins like a picture."""
    is_webp = head.startswith(b"RIFF") and head[8:12] == b"WEBP"
    return is_webp or head.startswith((b"\x89PNG\r\n", b"\xff\xd8\xff", b"GIF8"))


def read(file: MappedFile) -> Weights:
    """Open a picture that carries an embedding."""
    from PIL import Image, UnidentifiedImageError  # only pictures pay for it

    try:
        with Image.open(file.stream(), formats=_FORMATS) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                raise file.malformed(f"is a picture of {picture.width}x{picture.height}; too large for an embedding")
            chunk = getattr(picture, "text", {}).get(_CHUNK)
            text = base64.b64decode(chunk) if chunk else revealed(np.asarray(picture.convert("RGB")))
    except UnidentifiedImageError as error:
        raise file.malformed("is a picture, but of no form that carries an embedding (PNG, WEBP)") from error
    except (OSError, SyntaxError, ValueError, zlib.error, Image.DecompressionBombError) as error:
        raise file.malformed(f"is a broken picture: {error}") from error
    if text is None:
        raise file.malformed("is a picture without an embedding inside")
    try:
        value = json.loads(text, object_hook=_as_array)
    except (ValueError, RecursionError, binascii.Error) as error:
        raise file.malformed(f"carries a broken embedding: {error!s:.200}") from error
    tensors, extra = unwrapped(file.path, value)
    if not tensors:
        raise file.malformed("is a picture whose embedding holds no vectors")
    return Weights(tensors, path=file.path, format="image", extra=extra)


def revealed(pixels: Array) -> bytes | None:
    """Return the text hidden in pixels, uint8 [height, width, 3]; None where there is none."""
    lit = (pixels > 0).all(axis=2)
    rows, columns = np.flatnonzero(lit.sum(axis=1)), np.flatnonzero(lit.sum(axis=0))
    if not len(rows):
        return None
    low_bits = pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] & _HALF_BYTE
    black = np.flatnonzero(low_bits.sum(axis=(0, 2)) == 0)
    if len(black) < 2:
        return None
    left, right = unmasked(low_bits[:, : black[0]]), unmasked(low_bits[:, black[-1] + 1 :])
    if left.shape != right.shape:
        return None
    engine = zlib.decompressobj()
    try:
        return engine.decompress((right << 4 | left).tobytes(), _MOST_TEXT)
    except zlib.error:
        return None


def unmasked(block: Array) -> Array:
    """Return a block of half-bytes with its mask taken off, or put on: the same stream does both."""
    mask = counted_stream(block.size) & _HALF_BYTE
    both: Array = block ^ mask.reshape(block.shape)
    return both


def counted_stream(count: int) -> Array:
    """Return the first numbers, uint8, of the linear congruential generator of the pixel form."""
    states = np.array([_INCREMENT], np.uint32)
    jump, step = _MULTIPLIER, _INCREMENT  # to go on by as many numbers as there are already
    while len(states) < count:
        states = np.concatenate([states, states * np.uint32(jump) + np.uint32(step)])
        jump, step = jump * jump & 0xFFFFFFFF, (jump * step + step) & 0xFFFFFFFF
    return (states[:count] % _STREAM_RANGE).astype(np.uint8)


def _as_array(table: dict[str, Any]) -> Any:
    """Turn the JSON form of a tensor into an array."""
    if set(table) != {_TENSOR}:
        return table
    numbers = np.array(table[_TENSOR], np.float32)  # ValueError for ragged rows and for texts
    return LazyArray.of(numbers)
