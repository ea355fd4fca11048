"""How people name what they want to download: a repository, a page, an address, a URN or a hash."""

import os
import re
from dataclasses import dataclass, field
from typing import Literal, TypeAlias
from urllib.parse import SplitResult, parse_qsl, unquote

from pochade.errors import UsageError
from pochade.library.downloads.addresses import parts_of, shown_address, without_secrets

_REPOSITORY = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)(?:/(?P<path>[^@]*?[^@/]|[^@/]))?/?(?:@(?P<revision>[^@\s]+))?")
_CIVITAI = re.compile(r"(?P<model>\d{1,12})(?:@(?P<version>\d{1,12}))?")
_AIR = re.compile(
    r"(?:urn:)?air:(?:[\w-]+:){0,2}(?P<site>civitai|huggingface):(?P<name>[\w./-]+?)"
    r"(?:@(?P<version>[\w-]+))?(?:\+(?P<file>\d{1,12}))?(?:\.(?P<format>[a-z]\w*))?",
    re.IGNORECASE,
)
_DIGEST = re.compile(r"[0-9a-fA-F]{8,128}")
_HUB_HOSTS = {"huggingface.co", "www.huggingface.co", "hf.co"}
_CIVITAI_HOSTS = re.compile(r"(?:www\.)?civitai\.(?:com|red|green)")
_IN_REPOSITORY = {"blob", "resolve", "raw", "tree"}
_OTHER_REPOSITORIES = {"datasets", "spaces", "kernels", "collections"}
_WANTED = {"fp": "precision", "size": "extent", "format": "format", "type": "type"}

Site = Literal["huggingface", "civitai", "web"]


@dataclass(frozen=True)
class HubSource:
    """A repository of Hugging Face, or the file or folder `path` of it."""

    repo: str
    path: str = ""
    revision: str = ""

    @property
    def shown(self) -> str:
        """As it can be typed again."""
        return f"hf:{self.repo}{'/' * bool(self.path)}{self.path}{'@' * bool(self.revision)}{self.revision}"


@dataclass(frozen=True)
class CivitaiSource:
    """A model of Civitai, one of its versions, or the version that has a file with this hash.

    `wanted` is what the address asks for: precision, extent, format, type.
    """

    model: int | None = None
    version: int | None = None
    digest: str = ""
    file: int | None = None
    wanted: tuple[tuple[str, str], ...] = ()
    token: str = field(default="", repr=False)

    @property
    def shown(self) -> str:
        """As it can be typed again."""
        if self.digest:
            return f"civitai:hash:{self.digest}"
        return f"civitai:{self.model or ''}{'@' * bool(self.version)}{self.version or ''}"


@dataclass(frozen=True)
class WebSource:
    """A plain address."""

    address: str = field(repr=False)

    @property
    def shown(self) -> str:
        """Without what may be secret in it."""
        return shown_address(self.address)


Source: TypeAlias = HubSource | CivitaiSource | WebSource


def parse(text: str) -> Source:
    """Tell what a source names. Raises UsageError for what names nothing."""
    text = text.strip()
    scheme, _, rest = text.partition(":")
    match scheme.lower():
        case "http" | "https":
            return _address(text)
        case "hf" | "huggingface":
            return _repository(rest.removeprefix("//"), text)
        case "civitai":
            return _civitai(rest, text)
        case "urn" | "air":
            return _air(text)
    if _REPOSITORY.fullmatch(text):
        return _repository(text, text)
    raise _unknown(text)


def site_of(source: Source) -> Site:
    """The site that a source is asked of, and whose token it may take."""
    sites: dict[type, Site] = {HubSource: "huggingface", CivitaiSource: "civitai"}
    return sites.get(type(source), "web")


def _unknown(text: str) -> UsageError:
    is_address = "://" in text or "@" in text.partition("/")[0]
    return UsageError(
        f"{(without_secrets(text) if is_address else text)[:200]!r} names nothing to download; give hf:ORG/REPO/FILE, "
        "civitai:MODEL@VERSION, civitai:hash:HASH, urn:air:… or an https:// address."
    )


def _repository(name: str, text: str) -> HubSource:
    match = _REPOSITORY.fullmatch(name)
    if match is None or ".." in name.split("/"):
        raise _unknown(text)
    return HubSource(match["repo"], match["path"] or "", match["revision"] or "")


def _civitai(name: str, text: str) -> CivitaiSource:
    kind, _, digest = name.partition(":")
    if kind.lower() == "hash" and _DIGEST.fullmatch(digest):
        return CivitaiSource(digest=digest.upper())
    if match := re.fullmatch(r"@(\d{1,12})", name):
        return CivitaiSource(version=int(match[1]))
    match = _CIVITAI.fullmatch(name)
    if match is None:
        raise _unknown(text)
    return CivitaiSource(int(match["model"]), int(match["version"]) if match["version"] else None)


def _air(text: str) -> Source:
    match = _AIR.fullmatch(text)
    if match is None:
        raise _unknown(text)
    version = f"@{match['version']}" if match["version"] else ""
    if match["site"].lower() == "huggingface":
        ending = f".{match['format']}" if match["format"] and not version else ""  # names of repositories have dots
        return _repository(f"{match['name']}{ending}{version}", text)
    found = _civitai(f"{match['name']}{version}", text)
    wanted = (("format", match["format"]),) if match["format"] else ()
    return CivitaiSource(found.model, found.version, file=int(match["file"]) if match["file"] else None, wanted=wanted)


def _address(text: str) -> Source:
    parts = parts_of(text)
    host = parts.hostname or ""
    if parts.username is not None:
        return WebSource(text)
    if host in _HUB_HOSTS or _is_at_mirror(text, "HF_ENDPOINT"):
        return _hub_page(parts, text)
    if _CIVITAI_HOSTS.fullmatch(host) or _is_at_mirror(text, "CIVITAI_ENDPOINT"):
        return _civitai_page(parts, text)
    return WebSource(text)


def _is_at_mirror(text: str, variable: str) -> bool:
    base = mirror(variable, "")
    return bool(base) and text.startswith(f"{base}/")


def mirror(variable: str, otherwise: str) -> str:
    """The address that the environment names in place of a site's own."""
    return os.environ.get(variable, "").rstrip("/") or otherwise


def _hub_page(parts: SplitResult, text: str) -> Source:
    names = [unquote(each) for each in parts.path.split("/") if each]
    if names and names[0] in _OTHER_REPOSITORIES:
        raise UsageError(f"{shown_address(text)} is none of Hugging Face's models; only those can be downloaded.")
    if len(names) == 2:
        return HubSource("/".join(names))
    if len(names) >= 4 and names[2] in _IN_REPOSITORY and ".." not in names:
        return HubSource("/".join(names[:2]), "/".join(names[4:]), names[3])
    raise UsageError(f"{shown_address(text)} is no page of a model; give the page of a repository, or of a file in it.")


def _civitai_page(parts: SplitResult, text: str) -> Source:
    query = dict(parse_qsl(parts.query))
    token = query.get("token", "")
    if match := re.match(r"/api/(?:download/models|v1/model-versions)/(\d{1,12})/?$", parts.path):
        wanted = tuple((ours, query[theirs]) for theirs, ours in _WANTED.items() if theirs in query)
        return CivitaiSource(None, int(match[1]), file=_count(query.get("fileId", "")), wanted=wanted, token=token)
    if match := re.match(r"/model-versions/(\d{1,12})(?:/|$)", parts.path):
        return CivitaiSource(None, int(match[1]), token=token)
    if match := re.match(r"/(?:api/v1/)?models/(\d{1,12})(?:/|$)", parts.path):
        return CivitaiSource(int(match[1]), _count(query.get("modelVersionId", "")), token=token)
    raise UsageError(f"{shown_address(text)} is no page of a model; give the one of a model, or of its download.")


def _count(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) <= 12 else None
