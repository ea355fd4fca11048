"""Jobs on the user's collection: bring its index up to date, download."""

from collections.abc import Generator, Mapping
from dataclasses import fields
from typing import Any

from pochade.errors import UsageError
from pochade.events import Event
from pochade.jobs.context import Context
from pochade.jobs.verbs.reading import optional_path, paths_of, taken, value_of

_NEVER = ("token", "patience")  # secrets are not written down


def index(record: Mapping[str, Any], context: Context) -> Generator[Event, None, None]:
    """The folders of `models`, the adopted ones if there are none; with `hash`, the hashes too."""
    from pochade.operations.catalogue import Library  # deferred: only this verb needs it

    given = taken(record, "index", (), ("models", "hash"))
    library = Library.of(paths_of(given.get("models", []), "models"))
    yield from library.refreshing()
    if given.get("hash"):
        yield from library.hashing(library.entries())


def download(record: Mapping[str, Any], context: Context) -> Generator[Event, None, None]:
    """A `source`, and the fields of an Order; `token_file` names a file that holds the token for its site."""
    from pochade.library.downloads import Order, downloading  # deferred: only this verb needs it

    known = [each.name for each in fields(Order) if each.name not in _NEVER]
    given = taken(record, "download", ("source",), (*known, "token_file"))
    file = optional_path(given.get("token_file"), "token_file")
    options = {name: given[name] for name in known if name in given}
    token = {"token": file.read_text(encoding="utf-8").strip()} if file else {}
    if not isinstance(given["source"], str):
        raise UsageError("'source' must be a text, such as hf:ORG/REPO/FILE.")
    yield from downloading(given["source"], value_of(Order, options | token, "download"))
