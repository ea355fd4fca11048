"""Texts that A1111's and Forge's extension and NovelAI hide in the lowest bits of a picture's pixels.

The bits run down the columns, from the left, those of the alpha channel or those of red, green and blue in turn: a
mark of 15 letters, the number of the text's bits as 32 bits, then the text, which may be packed by gzip.
"""

import zlib

import numpy as np
from PIL import Image

from pochade.files.weights import Array

_LETTERS = 15
_MARKS = {  # whether the text is packed
    b"stealth_pnginfo": False,
    b"stealth_pngcomp": True,
    b"stealth_rgbinfo": False,
    b"stealth_rgbcomp": True,
}
_LENGTH_BYTES = 4
_MOST_TEXT = 16_000_000
_GZIP = 31  # what zlib calls this form


def revealed(image: Image.Image) -> str:
    """The text hidden in a picture; empty if there is none."""
    if image.mode not in ("RGB", "RGBA"):
        return ""
    pixels = np.asarray(image).transpose(1, 0, 2)
    planes = ([pixels[:, :, 3]] if image.mode == "RGBA" else []) + [pixels[:, :, :3]]
    return next((text for plane in planes if (text := _read(plane))), "")


def _read(plane: Array) -> str:
    columns = -(-(_LETTERS + _LENGTH_BYTES) * 8 // max(plane[0].size, 1))
    head = _bytes(plane[:columns])
    is_packed = _MARKS.get(head[:_LETTERS])
    if is_packed is None:
        return ""
    start = _LETTERS + _LENGTH_BYTES
    end = start + int.from_bytes(head[_LETTERS:start]) // 8
    data = _bytes(plane)[start:end]
    return (_unpacked(data) if is_packed else data).decode(errors="replace")


def _bytes(plane: Array) -> bytes:
    """The lowest bits of numbers, eight to a byte."""
    return np.packbits(plane.reshape(-1) & 1).tobytes()


def _unpacked(data: bytes) -> bytes:
    try:
        return zlib.decompressobj(_GZIP).decompress(data, _MOST_TEXT)
    except zlib.error:
        return b""
