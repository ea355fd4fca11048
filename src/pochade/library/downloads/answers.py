"""What servers answer, in one sentence."""

import json
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from pochade.errors import FileError, MissingFileError
from pochade.library.downloads.access import Access
from pochade.library.downloads.addresses import shown_address
from pochade.library.downloads.patience import TroubleError

if TYPE_CHECKING:
    import httpx2

_LATER = {408, 425, 429, 500, 502, 503, 504}
_GONE = {404, 410}
_LOCKED = {401, 403}
_GOOD = {200, 206, 416}
_MOST_WORDS = 64_000


def check(response: "httpx2.Response", address: str, access: Access) -> None:
    """Raise what an answer means that is no file."""
    status, shown = response.status_code, shown_address(address)
    refuse_busy(response, shown)
    if status in _LOCKED:
        raise FileError(shown, f"the server refuses it ({status}{_words_of(response)}); {access.advice}")
    if status in _GONE:
        raise MissingFileError(shown, f"is not there ({status}{_words_of(response)}); check the name")
    if status not in _GOOD:
        raise FileError(shown, f"the server answers {status}{_words_of(response)}")
    if response.headers.get("content-encoding", "").lower() not in ("", "identity"):
        raise FileError(shown, "the server packs what it sends, though it was asked not to")


def refuse_busy(response: "httpx2.Response", shown: str) -> None:
    """Raise TroubleError for the answer of a server that may give another one later."""
    if response.status_code in _LATER:
        words = "too many requests" if response.status_code == 429 else "the server is in trouble"
        raise TroubleError(shown, f"{words} ({response.status_code})", wait=_retry_after(response))


def _words_of(response: "httpx2.Response") -> str:
    """What a server says about its refusal, as far as it is a sentence."""
    said = response.headers.get("x-error-message", "")
    if not said and "json" in response.headers.get("content-type", ""):
        try:
            value = json.loads(content_of(response, "", _MOST_WORDS))
        except (ValueError, RecursionError, FileError):
            value = None
        texts = [value.get(name) for name in ("message", "error")] if isinstance(value, dict) else []
        said = next((text for text in texts if isinstance(text, str)), "")
    return f": {said[:200]}" if said else ""


def _retry_after(response: "httpx2.Response") -> float | None:
    """For how many seconds a server wants to be left alone, if it says so."""
    said = response.headers.get("retry-after", "").strip()
    if said.isdecimal():
        return float(said[:9])
    try:
        return max(0.0, (parsedate_to_datetime(said) - datetime.now(UTC)).total_seconds()) if said else None
    except (TypeError, ValueError):
        return None


def content_of(response: "httpx2.Response", shown: str, most: int) -> bytes:
    """All that a server sends, if it is not more than `most` bytes."""
    content = b""
    for block in response.iter_raw():
        content += block
        if len(content) > most:
            raise FileError(shown, f"sends more than {most / 1e6:.3g} MB")
    return content
