"""Ask servers: redirects are followed by hand, so that every step is judged and a token stays with its owner.

httpx2 would follow them too, and huggingface_hub brings its own way, but neither knows which addresses may be
reached from where, and both write addresses into the log in full.
"""

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit
from urllib.request import getproxies

from pochade import __version__
from pochade.errors import FileError, MalformedFileError, UsageError
from pochade.library.downloads.access import OPEN, Access
from pochade.library.downloads.addresses import (
    host_of,
    is_private,
    is_public,
    origin_of,
    parts_of,
    shown_address,
    without_login,
)
from pochade.library.downloads.answers import check, content_of
from pochade.library.downloads.patience import Patience, TroubleError

if TYPE_CHECKING:
    import httpx2

_MOST_REDIRECTS = 10
_SECONDS_TO_CONNECT, _SECONDS_OF_SILENCE = 15.0, 60.0
_LOGIN_PAGES = ("/login", "/join", "/purchase")
_MOST_TEXT = 32_000_000
_LOGGERS = ("httpx2", "httpcore2")


@contextmanager
def connected(allow_private: bool = True, patience: Patience | None = None) -> Iterator["Connection"]:
    """A client for one download. Proxies and certificates are those of the environment.

    Without `allow_private` no address outside the public internet is asked, which is for servers that load what
    strangers name; with it, one that the user names is, and may lead to others, but a public one never leads there.
    """
    import httpx2  # deferred: other verbs need no client

    headers = {"User-Agent": f"pochade/{__version__}", "Accept-Encoding": "identity"}  # no packing: sizes must be true
    timeout = httpx2.Timeout(_SECONDS_OF_SILENCE, connect=_SECONDS_TO_CONNECT)
    with _unlogged(), httpx2.Client(headers=headers, timeout=timeout) as client:
        yield Connection(client, allow_private, patience or Patience())


@contextmanager
def _unlogged() -> Iterator[None]:
    """Keep the client from writing addresses to the log: their queries may hold tokens, and signatures."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [each.level for each in loggers]
    for each in loggers:
        each.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for each, level in zip(loggers, levels, strict=True):
            each.setLevel(level)


@dataclass(frozen=True)
class Connection:
    """Opens addresses; what it raises says in one sentence what the server answered, without any secret."""

    client: "httpx2.Client"
    allow_private: bool
    patience: Patience

    @contextmanager
    def open(
        self, address: str, access: Access = OPEN, headers: Mapping[str, str] | None = None, named_by: str = ""
    ) -> Iterator["httpx2.Response"]:
        """The answer to a request, its body unread: 200, 206 or 416, whatever redirects led there.

        `named_by` is the address that this one was learnt from, if the user did not name it. Raises TroubleError for
        what may be better at the next try, FileError for what will not.
        """
        first = named_by or address
        is_inside = self.allow_private and is_private(host_of(first))
        if not self.allow_private and is_private(host_of(first)):
            raise UsageError(f"{shown_address(first)} is not on the public internet, which this server does not ask.")
        for _ in range(_MOST_REDIRECTS + 1):
            with self._asked(address, access, headers or {}, is_inside) as response:
                if not response.has_redirect_location:
                    check(response, address, access)
                    yield response
                    return
                address = _next(address, response.headers["location"], access)
        raise FileError(shown_address(first), f"leads from one address to another, more than {_MOST_REDIRECTS} times")

    @contextmanager
    def _asked(
        self, address: str, access: Access, headers: Mapping[str, str], is_inside: bool
    ) -> Iterator["httpx2.Response"]:
        import httpx2  # deferred with the rest

        host = host_of(address)
        if not is_inside and is_private(host):
            raise FileError(shown_address(address), f"leads to {host}, which is not on the public internet; refused")
        response = None
        try:
            request = self.client.build_request(
                "GET", without_login(address), headers={**headers, **access.headers(address)}
            )
            response = self.client.send(request, stream=True, follow_redirects=False)
            if not is_inside and _is_private_after_all(response):
                raise FileError(shown_address(address), f"{host} is not on the public internet; refused")
            yield response
        except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
            problem = f"no connection to {host}: {str(error) or 'it does not answer'}"
            raise TroubleError(shown_address(address), problem, is_reached=False) from error
        except httpx2.TimeoutException as error:
            raise TroubleError(shown_address(address), "the server fell silent") from error
        except httpx2.TransportError as error:
            raise TroubleError(shown_address(address), "the connection broke") from error
        except (httpx2.InvalidURL, UnicodeError) as error:  # the latter for hosts of letters that no name has
            raise FileError(shown_address(address), f"is no address that can be asked: {error}") from error
        finally:
            if response is not None:
                response.close()

    def json(self, address: str, access: Access = OPEN) -> Any:
        """The value that an address answers with; asked again while the server is busy."""
        content = self.patience.get(lambda: self._content(address, access))
        try:
            return json.loads(content)
        except (ValueError, RecursionError) as error:
            raise MalformedFileError(shown_address(address), "answers with something else than JSON") from error

    def _content(self, address: str, access: Access) -> bytes:
        with self.open(address, access) as response:
            return content_of(response, shown_address(address), _MOST_TEXT)


def _is_private_after_all(response: "httpx2.Response") -> bool:
    """Tell whether the answer came from inside: a name may change its number between the check and the request."""
    stream = response.extensions.get("network_stream")
    place = stream.get_extra_info("server_addr") if stream else None
    return place is not None and not getproxies() and not is_public(str(place[0]))


def _next(address: str, location: str, access: Access) -> str:
    """Where a redirect leads. Raises FileError for a step that must not be taken."""
    shown = shown_address(address)
    try:
        target = urljoin(address, location)
        scheme = parts_of(target).scheme
    except (UsageError, ValueError) as error:
        raise FileError(shown, "leads to something else than a web address; refused") from error
    if scheme == "http" and parts_of(address).scheme == "https":
        raise FileError(shown, "leads from https to http, where anyone may change what comes; refused")
    if origin_of(target) == access.origin and urlsplit(target).path.startswith(_LOGIN_PAGES):
        raise FileError(shown, f"leads to a login; {access.advice}")
    return target
