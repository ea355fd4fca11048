"""Download a model: find out what a source names, see whether it is there already, bring it, tell of it."""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from pochade.errors import UsageError
from pochade.events import Event, Made, Saved, Warned
from pochade.library import hashes
from pochade.library.downloads import civitai, hub, sidecars, web
from pochade.library.downloads.bringing import Downloaded, bringing, downloaded, target_of
from pochade.library.downloads.connection import Connection, connected
from pochade.library.downloads.judging import kind_of
from pochade.library.downloads.packages import Offer, Order, Package, Remote
from pochade.library.downloads.places import place_for, places_in
from pochade.library.downloads.records import record
from pochade.library.downloads.sources import CivitaiSource, HubSource, Source, parse

_SHA256 = re.compile(r"[0-9a-f]{64}")


def download(source: str, **options: Any) -> Path:
    """Download what a source names and return where it lies; the fields of Order are the options.

    A source is hf:ORG/REPO/FILE@REVISION, civitai:MODEL@VERSION, civitai:hash:HASH, urn:air:… or an address.
    """
    events = downloading(source, Order(**options))
    made: list[Downloaded] = [event.result for event in events if isinstance(event, Made)]
    return made[-1].path


def downloading(source: str, order: Order) -> Iterator[Event]:
    """Download what a source names; yields Steps in megabytes, Saved for every file, and Made with a Downloaded.

    Raises UsageError where it is not clear what is meant, FileError when it cannot be had or is not what it should be,
    UnsafeFileError when it is not safe, ResourceError when the disk is full. Stopped at any point, it goes on there.
    """
    _check(order)
    found = parse(source)
    with connected(order.allow_private, order.patience) as connection:
        package = _announced(_package(found, order, connection), order)
        known = _known(package, order)
        if known is not None:
            yield Warned(f"{package.source} is there already.")
            yield Made(known)
            return
        made = yield from bringing(package, order, connection)
        yield Saved(made.path)
        if order.sidecars:
            yield from sidecars.writing(package, made.path, connection)
        record(made.as_dict() | {"path": str(made.path.resolve())})
        yield Made(made)


def offers(source: str, order: Order) -> list[Offer]:
    """What there is to download under a source; nothing of it is fetched. Raises as downloading() does."""
    found = parse(source)
    with connected(order.allow_private, order.patience) as connection:
        chosen: tuple[Remote, ...] = ()
        with suppress(UsageError):
            chosen = _package(found, order, connection).files
        match found:
            case HubSource():
                files = hub.offered(found, order) or list(chosen)
            case CivitaiSource():
                files = civitai.offered(found, order, connection)
            case _:
                files = list(chosen)
    wanted = {each.address for each in chosen}
    return [Offer(each.name, each.size, each.sha256, each.address in wanted) for each in files]


def _check(order: Order) -> None:
    """Raise UsageError before anybody is asked for what cannot work."""
    if order.sha256 and not _SHA256.fullmatch(order.sha256.lower()):
        raise UsageError(f"--sha256 is {order.sha256[:80]!r}; it must be 64 digits from 0 to 9 and a to f.")
    if order.to is None and order.models:
        place_for("", order.models[0])


def _package(source: Source, order: Order, connection: Connection) -> Package:
    match source:
        case HubSource():
            return hub.package_of(source, order, connection)
        case CivitaiSource():
            return civitai.package_of(source, order, connection)
        case _:
            return web.package_of(source, order, connection)


def _announced(package: Package, order: Order) -> Package:
    """The package with the hash that the user expects. Raises UsageError where the site says otherwise at once."""
    wanted = order.sha256.lower()
    if not wanted:
        return package
    if package.folder:
        raise UsageError(f"{package.source} is a folder of {len(package.files)} files; --sha256 is for one file.")
    (remote,) = package.files
    if remote.sha256 not in ("", wanted):
        raise UsageError(f"{package.page} announces the SHA-256 {remote.sha256}, --sha256 wants {wanted}.")
    return replace(package, files=(replace(remote, sha256=wanted),))


def _known(package: Package, order: Order) -> Downloaded | None:
    """What is wanted, where it lies under its name already."""
    for path in _candidates(package, order):
        if _is_there(package, path):
            files = [path / each.name if package.folder else path for each in package.files]
            size = sum(each.stat().st_size for each in files)
            sha256 = "" if package.folder else package.files[0].sha256
            return replace(downloaded(package, path, kind_of(path), size, sha256), is_new=False)
    return None


def _is_there(package: Package, path: Path) -> bool:
    """Whether a path holds what a package is announced to; what nobody announces is never there."""
    if not package.folder:
        (remote,) = package.files
        return bool(remote.sha256) and path.is_file() and hashes.sha256(path) == remote.sha256
    places = [(each, path / each.name) for each in package.files]
    return all(place.is_file() and each.size in (None, place.stat().st_size) for each, place in places) and all(
        hashes.sha256(place) == each.sha256 for each, place in places if each.sha256
    )


def _candidates(package: Package, order: Order) -> list[Path]:
    """Where it would lie."""
    if order.to is not None and not order.to.is_dir():
        return [order.to]
    target = target_of(package, order)
    folders = [target.folder] if target.folder else [place for root in order.models for place in places_in(root)]
    return [folder / package.name for folder in folders]
