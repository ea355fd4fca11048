"""Addresses on the web: to whom they belong, and how one is shown without the secrets in it."""

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import SplitResult, quote, urlsplit, urlunsplit

from pochade.errors import UsageError

_PORTS = {"http": 80, "https": 443}


def parts_of(address: str) -> SplitResult:
    """The parts of a web address. Raises UsageError for what is none."""
    try:
        parts = urlsplit(address)
        is_web = parts.scheme in _PORTS and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        is_web = False
    if not is_web:
        raise UsageError(
            f"{without_secrets(address)[:200]} is no web address; only http:// and https:// can be downloaded."
        )
    return parts


def without_secrets(text: str) -> str:
    """As much of what is no address as can hold no secret: what stands before a query, after user and password."""
    return text.partition("?")[0].rpartition("@")[2]


def host_of(address: str) -> str:
    """The host that an address names."""
    return parts_of(address).hostname or ""


def origin_of(address: str) -> str:
    """Scheme, host and port of an address: whom a token is given to."""
    parts = parts_of(address)
    return f"{parts.scheme}://{parts.hostname}:{parts.port or _PORTS[parts.scheme]}"


def without_login(address: str) -> str:
    """An address without user, password and fragment; spaces and other letters are written as the web has them."""
    parts = parts_of(address)
    path, query = (quote(text, safe="/%:=&?~#+!$,;'@()*[]|") for text in (parts.path, parts.query))
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], path, query, ""))


def shown_address(address: str) -> str:
    """An address for messages and records: user, password and query are left out, for secrets lie there.

    >>> shown_address("https://me:secret@example.org/a.ckpt?token=secret")
    'https://example.org/a.ckpt?…'
    """
    parts = urlsplit(without_login(address))
    return urlunsplit((parts.scheme, parts.netloc, parts.path, "", "")) + ("?…" if parts.query else "")


def is_private(host: str) -> bool:
    """Tell whether any number of a host is outside the public internet; a host that nobody knows is not."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return False  # the connection will tell
    return any(not is_public(str(place[0])) for *_, place in found)


def is_public(number: str) -> bool:
    """Tell whether an IP number belongs to the public internet."""
    found: IPv4Address | IPv6Address = ip_address(number.partition("%")[0])
    inner = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return (inner or found).is_global
