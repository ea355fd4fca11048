"""Bring one file here, through broken connections and busy servers, without fetching anything twice.

The bytes of every site come through this one loop, those of Hugging Face too: huggingface_hub tells what there is and
where, but its own download shows no progress to a caller and accepts a file in which a bit is wrong.
"""

import re
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pochade.errors import FileError
from pochade.events import Event, Step, Warned
from pochade.files.containers import HEAD, container_of
from pochade.library.downloads.access import Access
from pochade.library.downloads.addresses import shown_address
from pochade.library.downloads.connection import Connection
from pochade.library.downloads.packages import Remote
from pochade.library.downloads.part import Part, opened
from pochade.library.downloads.patience import TroubleError

if TYPE_CHECKING:
    import httpx2

_MEGABYTE = 1_000_000
_KEPT = "what has come is kept, and the same command goes on from there"
_RANGE = re.compile(r"bytes (\d{1,18})-\d{1,18}/(\d{1,18}|\*)")


@dataclass(frozen=True)
class Arrival:
    """A part that is complete: its size and SHA-256, and whether it was put together from several answers."""

    size: int
    sha256: str
    is_resumed: bool


def transferring(connection: Connection, remote: Remote, access: Access, path: Path) -> Generator[Event, None, Arrival]:
    """Bring a file, or what is missing of it, into the part `path`; yields Steps in megabytes.

    Raises FileError when the server does not give it, ResourceError when there is no room; what has come is kept.
    """
    with opened(path) as part:
        failures, best = 0, part.size
        while not part.is_complete:
            try:
                yield from _fetching(connection, remote, access, part)
            except TroubleError as trouble:
                failures = 1 if part.size >= best + _MEGABYTE else failures + 1
                best = max(best, part.size)
                pause = connection.patience.pause_after(failures, trouble, _KEPT)
                yield Warned(f"{remote.name}: {trouble.problem}; trying again in {pause:.0f} s.")
                time.sleep(pause)
        return Arrival(part.size, part.sha256, part.is_resumed)


def _fetching(connection: Connection, remote: Remote, access: Access, part: Part) -> Iterator[Event]:
    """Ask once for what is missing, and take what comes."""
    shown = shown_address(remote.address)
    with connection.open(remote.address, access, _headers(remote, part)) as response:
        if part.size and response.status_code == 200:
            yield Warned(f"{remote.name}: the server does not go on where it stopped; from the beginning.")
        total = _agreed(response, remote, part)
        part.check_room(total)
        told = -1
        for block in response.iter_raw():
            if not part.size:
                _refuse_page(block, shown, access)
            if total is not None and part.size + len(block) > total:
                raise FileError(shown, f"sends more than the {total} bytes that it announced")
            part.append(block)
            if part.size // _MEGABYTE > told:
                told = part.size // _MEGABYTE
                yield _step(part.size, total, remote.name)
    if total is not None and part.size != total:
        raise TroubleError(shown, f"the connection ended after {part.size} of {total} bytes")
    part.finish()
    yield _step(part.size, part.size, remote.name)


def _headers(remote: Remote, part: Part) -> dict[str, str]:
    """Ask for the rest where something will tell whether it goes with what is there: the server, or the hash."""
    rest = {"Range": f"bytes={part.size}-"}
    if part.size and remote.sha256:
        return rest
    if part.size and part.validator and not part.validator.startswith("W/"):
        return rest | {"If-Range": part.validator}
    return {}


def _agreed(response: "httpx2.Response", remote: Remote, part: Part) -> int | None:
    """Make the part end where the answer begins; returns the size of the whole, if the server says it."""
    validator = response.headers.get("etag") or response.headers.get("last-modified") or ""
    if response.status_code == 200:
        if part.size:
            part.restart()
        total = _number(response.headers.get("content-length", ""))
    else:
        match = _RANGE.fullmatch(response.headers.get("content-range", ""))
        total = part.total if match is None or match[2] == "*" else _number(match[2])
        is_same = remote.sha256 or not part.validator or validator in ("", part.validator)
        if match is None or int(match[1]) != part.size or part.total not in (None, total) or not is_same:
            part.restart()
            raise TroubleError(shown_address(remote.address), "the server sends another part than the missing one")
        part.is_resumed = part.is_resumed or part.size > 0
        validator = validator or part.validator
    part.note(validator, total)
    return total


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) < 19 else None


def _refuse_page(block: bytes, shown: str, access: Access) -> None:
    """Raise FileError for what begins like a web page: sites answer so in place of a file that needs a login."""
    container = container_of(block[:HEAD])
    if container is not None and container.name == "html":
        raise FileError(shown, f"is a web page, not the file; {access.advice}")


def _step(done: int, total: int | None, name: str) -> Step:
    """How far it is; where nobody knows the whole, something is always left."""
    whole = done + _MEGABYTE if total is None else total
    plain = name.replace("[", "(").replace("]", ")")  # terminals take brackets for styles
    return Step(-(-done // _MEGABYTE), -(-whole // _MEGABYTE), f"MB of {plain}")
