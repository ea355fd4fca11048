"""What lies at a plain address: its name and size are what the server says before it sends anything."""

import base64
from urllib.parse import unquote

from pochade.errors import UsageError
from pochade.library.downloads.access import Access, bearer
from pochade.library.downloads.addresses import origin_of, parts_of, without_login
from pochade.library.downloads.connection import Connection
from pochade.library.downloads.names import announced_name, safe_name
from pochade.library.downloads.packages import Order, Package, Remote
from pochade.library.downloads.sources import WebSource


def package_of(source: WebSource, order: Order, connection: Connection) -> Package:
    """The one file at an address. Raises FileError when the server does not give it."""
    if order.file or order.format or order.precision or order.extent:
        raise UsageError(f"{source.shown} is one file, so there is nothing to choose with --file and the like.")
    access = _access(source, order)
    return Package(source.shown, source.shown, (_remote(source, access, connection),), access=access)


def _access(source: WebSource, order: Order) -> Access:
    """A token, or the user and password of the address, for nobody but its host."""
    parts = parts_of(source.address)
    authorization = bearer(order.token)
    if parts.username is not None and not authorization:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = f"Basic {base64.b64encode(login.encode()).decode()}"
    return Access(origin_of(source.address), authorization)


def _remote(source: WebSource, access: Access, connection: Connection) -> Remote:
    """Ask for the first byte alone: not every server answers when only the description is asked for."""

    def ask() -> tuple[str, str, str]:
        with connection.open(source.address, access, {"Range": "bytes=0-0"}) as response:
            total = response.headers.get("content-range", "").rpartition("/")[2]
            length = total if response.status_code != 200 else response.headers.get("content-length", "")
            disposition = response.headers.get("content-disposition", "")
            return announced_name(disposition), length, str(response.url.path)

    announced, length, path = connection.patience.get(ask)
    asked = unquote(parts_of(source.address).path)
    name = safe_name(announced, "") or safe_name(asked.rpartition("/")[2], "") or safe_name(path.rpartition("/")[2])
    return Remote(without_login(source.address), name, int(length) if length.isdecimal() else None)
