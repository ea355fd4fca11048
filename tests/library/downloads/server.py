"""A server on this machine that behaves as badly as a test wants it to."""

import json
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


@dataclass
class File:
    """A file to serve. `breaks` are the counts of bytes after which the first answers end; None is all of them."""

    content: bytes
    etag: str = '"one"'
    breaks: list[int | None] = field(default_factory=list)
    knows_ranges: bool = True
    says_length: bool = True
    length: int | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def __call__(self, handler):
        start = self._start(handler)
        body = self.content[start:]
        handler.send_response(206 if start is not None else 200)
        if self.etag:
            handler.send_header("ETag", self.etag)
        if start is not None:
            end = len(self.content) - 1
            asked = handler.headers["Range"].partition("-")[2]
            body = self.content[start : int(asked) + 1] if asked else body
            handler.send_header("Content-Range", f"bytes {start}-{end}/{len(self.content)}")
        if self.says_length:
            handler.send_header("Content-Length", str(self.length if self.length is not None else len(body)))
        for name, value in self.headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        is_probe = handler.headers.get("Range") == "bytes=0-0"
        kept = self.breaks.pop(0) if self.breaks and not is_probe else None
        handler.wfile.write(body if kept is None else body[:kept])
        is_cut = kept is not None or self.length is not None or not self.says_length
        handler.close_connection = handler.close_connection or is_cut

    def _start(self, handler):
        asked = handler.headers.get("Range")
        if not asked or not self.knows_ranges or handler.headers.get("If-Range", self.etag) != self.etag:
            return None
        start = int(asked.removeprefix("bytes=").partition("-")[0])
        return start if start < len(self.content) else None


def moved(address, status=302):
    """An answer that leads elsewhere."""

    def answer(handler):
        handler.send_response(status)
        handler.send_header("Location", address)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def said(status, body=b"", **headers):
    """An answer of a status and a body, JSON for what is no bytes."""

    def answer(handler):
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        handler.send_response(status)
        kind = "text/html" if isinstance(body, bytes) else "application/json"
        for name, value in ({"Content-Type": kind} | headers).items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    return answer


def in_turn(*answers):
    """One answer after the other; the last one stays."""
    left = list(answers)

    def answer(handler):
        (left.pop(0) if len(left) > 1 else left[0])(handler)

    return answer


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """Clients that hang up are part of the tests."""


class Site:
    """Answers by path; `asked` is every request's path with query, and its headers."""

    def __init__(self):
        site = self
        self.routes = {}
        self.asked = []

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                site.asked.append((self.path, dict(self.headers)))
                answer = site.routes.get(self.path) or site.routes.get(urlsplit(self.path).path) or said(404)
                with suppress(ConnectionError):
                    answer(self)

            def log_message(self, *_):
                pass

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()

    def paths(self):
        return [path for path, _ in self.asked]

    def sent(self, header):
        """What was sent under a header, by request; None where it was not."""
        return [headers.get(header) for _, headers in self.asked]
