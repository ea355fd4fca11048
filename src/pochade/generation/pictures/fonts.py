"""Fonts for what is written on pictures. Pillow's own has the letters of ASCII; for others the system's are tried."""

import os
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from PIL import ImageFont

Font = ImageFont.ImageFont | ImageFont.FreeTypeFont

# What fonts with very many letters are called, the best first: of those for Chinese first, which have the others too.
_KNOWN = (
    *("notosanscjk", "notosanssc", "sourcehansans", "sarasa", "wqy", "droidsansfallback"),
    *("pingfang", "hiraginosansgb", "stheiti", "msyh", "deng", "simhei", "simsun", "arialunicode"),
    *("dejavusans", "notosans", "liberationsans", "arial", "segoeui", "helvetica"),
)
_SUFFIXES = {".ttf", ".otf", ".ttc"}
_MOST_TRIED = 100
_TRIED_AT = 16
_NO_LETTER = "\uffff"  # by definition no font has it: it shows as what stands for missing ones


def font(letters: int, face: Path | None = None) -> Font:
    """A font with letters of so many pixels, of a file or Pillow's own."""
    return ImageFont.load_default(letters) if face is None else ImageFont.truetype(str(face), letters)


def face_for(text: str) -> Path | None:
    """The font file that has most of the letters of a text; None is Pillow's own font."""
    return _face_for(_letters(text), _folders())


def missing_letters(text: str) -> str:
    """The letters of a text that even the best font here lacks."""
    letters = _letters(text)
    return _lacked(font(_TRIED_AT, _face_for(letters, _folders())), letters)


def _letters(text: str) -> str:
    return "".join(sorted({letter for letter in text if not letter.isspace() and letter.isprintable()}))


@lru_cache(maxsize=16)
def _face_for(letters: str, folders: tuple[Path, ...]) -> Path | None:
    best, lacked = None, _lacked(font(_TRIED_AT), letters)
    for face in _faces(folders) if lacked else ():
        now = _lacked_by(face, letters)
        if len(now) < len(lacked):
            best, lacked = face, now
        if not lacked:
            break
    return best


def _lacked_by(face: Path, letters: str) -> str:
    try:
        return _lacked(font(_TRIED_AT, face), letters)
    except OSError:  # a broken font, or none at all
        return letters


def _lacked(face: Font, letters: str) -> str:
    if letters.isascii():
        return ""
    empty = _shape(face, _NO_LETTER)
    return "".join(letter for letter in letters if not letter.isascii() and _shape(face, letter) == empty)


def _shape(face: Font, letter: str) -> tuple[tuple[int, int], bytes]:
    mask = face.getmask(letter)
    return mask.size, bytes(mask)


def _faces(folders: tuple[Path, ...]) -> list[Path]:
    """Files of fonts, the most promising first."""
    files = [path for folder in folders for path in _files(folder) if path.suffix.lower() in _SUFFIXES]
    return sorted(files, key=_promise)[:_MOST_TRIED]


def _files(folder: Path) -> Iterator[Path]:
    return (Path(root, name) for root, _, names in os.walk(folder) for name in names)


def _promise(path: Path) -> tuple[int, int, str]:
    """Known names first; of a family the plain face, whose name is the shortest."""
    name = path.stem.casefold().replace("-", "").replace("_", "").replace(" ", "")
    rank = next((rank for rank, known in enumerate(_KNOWN) if name.startswith(known)), len(_KNOWN))
    return rank, 0 if "regular" in name else len(name), str(path)


def _folders() -> tuple[Path, ...]:
    """Where systems keep fonts."""
    home = Path.home()
    if sys.platform == "darwin":
        return Path("/System/Library/Fonts"), Path("/Library/Fonts"), home / "Library/Fonts"
    if sys.platform == "win32":
        own = Path(os.environ.get("LOCALAPPDATA", home), "Microsoft/Windows/Fonts")
        return Path(os.environ.get("WINDIR", "C:/Windows"), "Fonts"), own
    shared = os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
    data = os.environ.get("XDG_DATA_HOME") or home / ".local/share"
    return Path(data, "fonts"), home / ".fonts", *(Path(each, "fonts") for each in shared.split(":"))
