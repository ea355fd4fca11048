"""Every text that an image file carries, by name, wherever its format keeps texts."""

import json
from collections.abc import Mapping
from typing import Any

from PIL import Image

from pochade.generation.foreign.values import table

_EXIF_IFD = 0x8769
_USER_COMMENT = 0x9286
_BY_TAG = {0x010E: "ImageDescription", 0x010F: "Make", 0x0110: "Model", 0x0131: "Software"}
_CODES = {b"ASCII\0\0\0": "utf-8", b"\0" * 8: "utf-8", b"JIS\0\0\0\0\0": "iso2022_jp"}
_UNICODE = b"UNICODE\0"
_GRAPH, _EDITOR = "class_type", "nodes"  # what tells ComfyUI's two forms of a graph


def texts_of(image: Image.Image) -> dict[str, str]:
    """The texts of PNG chunks, of Exif, and of the comment that GIF and JPEG files have."""
    found = {str(name): mended(value) for name, value in image.info.items() if isinstance(value, str)}
    if isinstance(image.info.get("comment"), bytes):
        found["comment"] = image.info["comment"].decode(errors="replace")
    exif = image.getexif()
    found |= {name: text for tag, name in _BY_TAG.items() if (text := _as_text(exif.get(tag)))}
    comment = _as_text(exif.get_ifd(_EXIF_IFD).get(_USER_COMMENT) or exif.get(_USER_COMMENT))
    return found | ({"UserComment": comment} if comment else {})


def texts_in(text: str) -> dict[str, str]:
    """The texts that a text by itself stands for: A1111's block, or the JSON of some program."""
    found = table(text)
    if _EDITOR in found:
        return {"workflow": text}
    if any(_GRAPH in table(each) for each in found.values()):
        return {"prompt": text}
    if found:
        return dict.fromkeys(("parameters", "invokeai_metadata", "sd-metadata", "Comment"), text)
    return {"parameters": text}


def mended(text: str) -> str:
    """A text without the harm of programs that write UTF-8 where PNG wants Latin-1.

    >>> mended("cafÃ©")
    'café'
    """
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text


def _as_text(value: Any) -> str:
    """A value of Exif as text; empty for other values."""
    if isinstance(value, bytes):
        return decoded(value)
    return value if isinstance(value, str) else ""


def decoded(comment: bytes) -> str:
    """Text of a UserComment. The standard wants big-endian UTF-16; programs write it little-endian and as UTF-8 too."""
    if comment.startswith(_UNICODE):
        return _from_utf16(comment.removeprefix(_UNICODE))
    code = _CODES.get(comment[:8])
    return (comment[8:] if code else comment).decode(code or "utf-8", errors="replace").rstrip("\0")


def _from_utf16(text: bytes) -> str:
    if 0 not in text:  # no letter of English in it, so it is no UTF-16 of parameters
        try:
            return text.decode()
        except UnicodeDecodeError:
            pass
    if text[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return text.decode("utf-16", errors="replace")
    is_little = text[1::2].count(0) > text[0::2].count(0)
    return text.decode("utf-16-le" if is_little else "utf-16-be", errors="replace")


def hidden_texts(image: Image.Image) -> dict[str, str]:
    """The texts that the pixels hide: A1111's, or JSON of texts by name as NovelAI has it."""
    from pochade.generation.foreign.stealth import revealed  # deferred with numpy

    text = revealed(image)
    named: Mapping[str, Any] = table(text)
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in named.items()}
    return texts if "Comment" in texts else ({"parameters": text} if text else {})
