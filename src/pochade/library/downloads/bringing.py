"""Bring the files of a package, check them, and only then give them their name.

What is wrong keeps an ending of its own, so that no program takes it for a model: NAME.part is not complete;
NAME.unverified came with another hash than announced, or cannot be read. What would act when it is loaded is removed.
"""

import hashlib
import os
import shutil
from collections.abc import Generator, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pochade.errors import MalformedFileError, UnsafeFileError, UsageError
from pochade.events import Event, Warned
from pochade.library import hashes
from pochade.library.downloads.connection import Connection
from pochade.library.downloads.judging import Judgement, judge
from pochade.library.downloads.naming import put
from pochade.library.downloads.packages import Order, Package, Remote
from pochade.library.downloads.part import check_room, forget, remove
from pochade.library.downloads.places import place_for
from pochade.library.downloads.transfer import Arrival, transferring

_UNVERIFIED = ".unverified"


@dataclass(frozen=True)
class Downloaded:
    """What was downloaded, and where it lies; `is_new` is False where it lay already.

    `sha256` is empty for the folder of a model in parts; `is_verified` tells whether somebody had announced it.
    """

    path: Path
    source: str
    page: str
    revision: str
    kind: str
    bytes: int
    sha256: str
    is_verified: bool
    is_new: bool = True

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values."""
        return asdict(self) | {"path": str(self.path)}


@dataclass(frozen=True)
class Target:
    """Where a download is to go: a folder, None for that of its kind; a name, if no other will do."""

    folder: Path | None
    name: str = ""


def target_of(package: Package, order: Order) -> Target:
    """Where the user wants a download. Raises UsageError for a file that is there already."""
    to = order.to
    if to is None:
        return Target(None if order.models else Path())
    if to.is_dir():
        return Target(to)
    if to.exists():
        raise UsageError(f"{to} is there already; name another file with --to, or take that one away.")
    return Target(to.parent, to.name) if package.folder or to.suffix else Target(to)


def downloaded(package: Package, path: Path, kind: str, size: int, sha256: str) -> Downloaded:
    """What is known of a download that lies at `path`."""
    is_verified = all(each.sha256 or each.git for each in package.files)
    return Downloaded(path, package.source, package.page, package.revision, kind, size, sha256, is_verified)


def bringing(package: Package, order: Order, connection: Connection) -> Generator[Event, None, Downloaded]:
    """Bring a package; yields Steps in megabytes and what should be known.

    Raises FileError when it cannot be had or is not what was announced, UnsafeFileError when it is not safe.
    """
    target = target_of(package, order)
    room = target.folder or place_for(package.kind, order.models[0])
    part = room / package.part_name
    arrivals = yield from _fetched(package, order, connection, part)
    judgement = judge(part, target.name or package.name)
    _refuse(judgement, part, package, order.strict)
    if judgement.verdict == "suspicious":
        yield Warned(f"{judgement.name} is suspicious: {judgement.why}.")
    kind = judgement.kind if judgement.kind != "unknown" else package.kind or "unknown"
    folder = target.folder or place_for(kind, order.models[0])
    size = sum(each.size for each in arrivals)
    sha256 = "" if package.folder else arrivals[0].sha256
    path = folder / judgement.name
    if sha256 and path.is_file() and path.stat().st_size == size and hashes.sha256(path) == sha256:
        remove(part)
        yield Warned(f"{path} is the same file already.")
        return replace(downloaded(package, path, kind, size, sha256), is_new=False)
    final = put(part, path, only=bool(target.name))
    if sha256:
        hashes.remember(final, sha256)
    forget(part)
    yield from _remarks(final, path, kind, target)
    return downloaded(package, final, kind, size, sha256)


def _remarks(final: Path, wanted: Path, kind: str, target: Target) -> Iterator[Event]:
    if final != wanted:
        yield Warned(f"{wanted} is another file; this one is {final.name}.")
    if target.folder is None and kind == "unknown":
        yield Warned(f"What kind of model {final.name} is cannot be told; it lies in {final.parent}.")


def _fetched(
    package: Package, order: Order, connection: Connection, part: Path
) -> Generator[Event, None, list[Arrival]]:
    """Bring every file into the part, which is a folder where they make one; inside it they have their names then."""
    places = [part / each.part_name if package.folder else part for each in package.files]
    _check_room(package, places, part.parent)
    arrivals = []
    for remote, place in zip(package.files, places, strict=True):
        if package.folder and (part / remote.name).exists():
            os.replace(part / remote.name, place)  # of a try that was stopped at its very end
        arrivals.append((yield from _verified(connection, remote, package, order, place)))
    if package.folder:
        for remote, place in zip(package.files, places, strict=True):
            os.replace(place, part / remote.name)
            forget(place)
    return arrivals


def _check_room(package: Package, places: list[Path], room: Path) -> None:
    """Raise ResourceError before anything is fetched where not all of it will fit."""
    room.mkdir(parents=True, exist_ok=True)
    sizes = [(each.size or 0, place) for each, place in zip(package.files, places, strict=True)]
    check_room(
        room, sum(max(0, size - (place.stat().st_size if place.exists() else 0)) for size, place in sizes), package.name
    )


def _verified(
    connection: Connection, remote: Remote, package: Package, order: Order, place: Path
) -> Generator[Event, None, Arrival]:
    """Bring one file whose hash is the announced one. One that was put together from several tries gets another."""
    arrival = yield from transferring(connection, remote, package.access, place)
    found, wanted = _hashes(arrival, remote, place)
    if found != wanted and arrival.is_resumed:
        yield Warned(f"{remote.name} was put together from several tries, and its hash is wrong; it is brought anew.")
        remove(place)
        arrival = yield from transferring(connection, remote, package.access, place)
        found, wanted = _hashes(arrival, remote, place)
    if found == wanted:
        return arrival
    witness = "--sha256 wants" if order.sha256 else f"{package.page} announces"
    raise MalformedFileError(
        _set_aside(place, Path(remote.name).name),
        f"its hash is {found}, {witness} {wanted}. It is kept under this name; download it again, and if it comes out "
        "the same, compare with another source: what a site announces may be wrong, too",
    )


def _hashes(arrival: Arrival, remote: Remote, place: Path) -> tuple[str, str]:
    """The hash of what has come, and the one that was announced; git has its own for small files."""
    if remote.sha256:
        return arrival.sha256, remote.sha256
    if remote.git:
        with place.open("rb") as file:
            found = hashlib.file_digest(file, lambda: hashlib.sha1(b"blob %d\0" % arrival.size, usedforsecurity=False))
        return found.hexdigest(), remote.git
    return "", ""


def _refuse(judgement: Judgement, part: Path, package: Package, strict: bool) -> None:
    """Raise what the scan has found; what would act is removed, what only may be bad gets no name of a model."""
    if judgement.verdict == "malicious":
        shutil.rmtree(part) if package.folder else remove(part)
        raise UnsafeFileError(judgement.name, f"is malicious: {judgement.why}. It was removed")
    if judgement.verdict == "corrupt":
        raise MalformedFileError(_set_aside(part, judgement.name), f"{judgement.why}; it is kept under this name")
    if judgement.verdict == "suspicious" and strict:
        kept = _set_aside(part, judgement.name)
        raise UnsafeFileError(kept, f"is suspicious: {judgement.why}. It is kept under this name")


def _set_aside(part: Path, name: str) -> Path:
    """Give what is wrong a name that says so."""
    kept = part.with_name(name + _UNVERIFIED)
    if kept.is_dir():
        shutil.rmtree(kept)
    os.replace(part, kept)
    forget(part)
    return kept
