"""What web UIs read beside a model from Civitai: its description, and a picture of what it draws."""

import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pochade.errors import PochadeError
from pochade.events import Event, Saved, Warned
from pochade.files.pictures import recognises
from pochade.files.saving import replacing
from pochade.files.scan import scan
from pochade.library.downloads.addresses import shown_address
from pochade.library.downloads.answers import content_of
from pochade.library.downloads.connection import Connection
from pochade.library.downloads.packages import Package

INFORMATION = ".civitai.info"
_PREVIEW = ".preview"
_ENDINGS = {b"\x89PNG": ".png", b"\xff\xd8\xff": ".jpg", b"RIFF": ".webp"}
_MOST_BYTES = 20_000_000
_MOST_TRIES = 3


def writing(package: Package, model: Path, connection: Connection) -> Iterator[Event]:
    """Put description and preview beside a model; yields what was saved. What fails is only told: the model is there.

    Nothing that lies there already is written over.
    """
    if not package.version:
        return
    try:
        yield from _information(package, model)
        yield from _preview(package, model, connection)
    except PochadeError as error:
        yield Warned(f"{model.name} is there, but not all that goes beside it: {error}")


def _information(package: Package, model: Path) -> Iterator[Event]:
    path = model.with_suffix(INFORMATION)
    if not path.exists():
        _write(path, json.dumps(package.version, indent=2, ensure_ascii=False).encode())
        yield Saved(path)


def _preview(package: Package, model: Path, connection: Connection) -> Iterator[Event]:
    """Save the first picture that is one, the most harmless ones first."""
    if any(model.with_suffix(_PREVIEW + ending).exists() for ending in _ENDINGS.values()):
        return
    for address in _pictures(package)[:_MOST_TRIES]:
        with connection.open(address, named_by=package.page) as response:
            content = content_of(response, shown_address(address), _MOST_BYTES)
        ending = next((ending for mark, ending in _ENDINGS.items() if content.startswith(mark)), None)
        if ending and _is_picture(content, ending):
            path = model.with_suffix(_PREVIEW + ending)
            _write(path, content)
            yield Saved(path)
            return


def _is_picture(content: bytes, ending: str) -> bool:
    """Whether it can be opened, and holds nothing but a picture of a sensible size."""
    with TemporaryDirectory() as room:
        path = Path(room, f"preview{ending}")
        path.write_bytes(content)
        return recognises(content[:16]) and all(each.verdict == "safe" for each in scan(path))


def _pictures(package: Package) -> list[str]:
    images = package.version.get("images")
    found = [each for each in images if isinstance(each, dict)] if isinstance(images, list) else []
    stills = [each for each in found if each.get("type", "image") == "image" and isinstance(each.get("url"), str)]
    return [each["url"] for each in sorted(stills, key=_boldness)]


def _boldness(image: dict[str, Any]) -> int:
    level = image.get("nsfwLevel")
    return level if isinstance(level, int) else 0


def _write(path: Path, content: bytes) -> None:
    with replacing(path, len(content)) as file:
        file.write(content)
