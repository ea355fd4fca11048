"""Styles: named texts that are put around a prompt, kept in a CSV file."""

import csv
import io
import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pochade.errors import FileError, MalformedFileError, MissingFileError

PLACE = "{prompt}"
_COLUMNS = ("name", "prompt", "negative_prompt")
_BLANKS = re.compile(r"  +")


@dataclass(frozen=True)
class Style:
    """What a style adds to the prompt and to the negative prompt."""

    name: str
    prompt: str = ""
    negative_prompt: str = ""


def merge(style: str, prompt: str) -> str:
    """Put a prompt where the style says {prompt}, or the style behind the prompt."""
    if PLACE in style:
        return style.replace(PLACE, prompt)
    return ", ".join(filter(None, (prompt.strip(), style.strip())))


def extract(style: str, prompt: str) -> tuple[bool, str]:
    """Whether the style is in the prompt, and the prompt without it."""
    style, plain = (_BLANKS.sub(" ", text.strip()) for text in (style, prompt))
    before, place, after = style.partition(PLACE)
    if not place:
        return (True, plain.removesuffix(style).removesuffix(", ")) if plain.endswith(style) else (False, prompt)
    if plain.startswith(before) and plain.endswith(after):
        return True, plain[len(before) : len(plain) - len(after)]
    return False, prompt


def apply(styles: Mapping[str, Style], names: Iterable[str], prompt: str, negative: str = "") -> tuple[str, str]:
    """Prompt and negative prompt with the named styles, in order; names that nobody knows change nothing."""
    for style in (styles[name] for name in names if name in styles):
        prompt, negative = merge(style.prompt, prompt), merge(style.negative_prompt, negative)
    return prompt, negative


def read(path: Path | str) -> dict[str, Style]:
    """The styles of a CSV file by name; rows whose name begins with # are left out."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file, restval="", skipinitialspace=True))
    except FileNotFoundError as problem:
        raise MissingFileError(path, "there is no such file of styles; check the path.") from problem
    except IsADirectoryError as problem:
        raise FileError(path, "this is a folder; name a file of styles.") from problem
    except (UnicodeDecodeError, csv.Error) as problem:
        found = f"a file of styles is CSV in UTF-8, but {problem}; save it as such."
        raise MalformedFileError(path, found) from problem
    styles = (
        Style(row.get("name") or "", row.get("prompt") or row.get("text") or "", row.get("negative_prompt") or "")
        for row in rows
    )
    return {style.name: style for style in styles if style.name and not style.name.startswith("#")}


def write(path: Path | str, styles: Iterable[Style]) -> None:
    """Write a styles file in one go; a file that was there is kept with .bak behind its name."""
    from pochade.files.saving import replacing  # deferred: reading styles needs no numpy

    path = Path(path)
    table = io.StringIO(newline="")
    writer = csv.writer(table)
    writer.writerow(_COLUMNS)
    writer.writerows((style.name, style.prompt, style.negative_prompt) for style in styles)
    with replacing(path) as file:
        file.write(table.getvalue().encode("utf-8-sig"))
        if path.exists():
            shutil.copy2(path, f"{path}.bak")
