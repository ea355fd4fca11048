"""What there is at Civitai, or at the mirror that CIVITAI_ENDPOINT names."""

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from pochade.errors import MalformedFileError, UsageError
from pochade.library.downloads.access import Access, bearer
from pochade.library.downloads.addresses import origin_of, shown_address
from pochade.library.downloads.choosing import Candidate, choose
from pochade.library.downloads.connection import Connection
from pochade.library.downloads.names import safe_name
from pochade.library.downloads.packages import Order, Package, Remote
from pochade.library.downloads.sources import CivitaiSource, mirror

KINDS = {
    "Checkpoint": "checkpoint",
    "LORA": "lora",
    "LoCon": "lora",
    "DoRA": "lora",
    "TextualInversion": "embedding",
    "Hypernetwork": "hypernetwork",
    "Controlnet": "controlnet",
    "VAE": "vae",
    "Upscaler": "upscaler",
}
"""Civitai's words for what a model is, in ours."""

_SITE = "https://civitai.com"
_TOKENS = ("CIVITAI_TOKEN", "CIVITAI_API_TOKEN", "CIVITAI_API_KEY")
_ADVICE = "it may need a token: make one at civitai.com/user/account and set CIVITAI_TOKEN to it"
_FORMATS = {"safetensor": "safetensors", "pickletensor": "ckpt"}
_MODEL_TYPES = {"model", "pruned model"}
_SHA256 = re.compile(r"[0-9a-f]{64}")
_DOWNLOADS = "/api/download/"


def package_of(source: CivitaiSource, order: Order, connection: Connection) -> Package:
    """The file that a source names. Raises UsageError where several may be meant, FileError when nobody tells."""
    access = _access(source, order)
    version = _version(source, access, connection)
    files = _files(version, source)
    place = choose([_candidate(each) for each in files], _narrowed(order, source), source.shown)
    model, number = version.get("modelId"), version.get("id")
    return Package(
        f"civitai:{model}@{number}",
        f"{shown_address(_endpoint())}/models/{model}?modelVersionId={number}",
        (_remote(files[place], version),),
        access=access,
        kind=_kind(files[place], version),
        revision=str(number),
        version=version,
    )


def offered(source: CivitaiSource, order: Order, connection: Connection) -> list[Remote]:
    """Every file of the version that a source names."""
    version = _version(source, _access(source, order), connection)
    return [_remote(each, version) for each in _tables(version.get("files"))]


def _endpoint() -> str:
    return mirror("CIVITAI_ENDPOINT", _SITE)


def _access(source: CivitaiSource, order: Order) -> Access:
    found = (os.environ.get(name, "") for name in _TOKENS)
    token = order.token or source.token or next(filter(None, found), "")
    return Access(origin_of(_endpoint()), bearer(token), _ADVICE)


def _version(source: CivitaiSource, access: Access, connection: Connection) -> dict[str, Any]:
    """Civitai's description of one version; a model without one stands for its newest."""
    base = f"{_endpoint()}/api/v1"
    if source.digest:
        return _table(connection.json(f"{base}/model-versions/by-hash/{source.digest}", access), source)
    number: object = source.version
    if number is None:
        versions = _tables(
            _table(connection.json(f"{base}/models/{source.model}", access), source).get("modelVersions")
        )
        number = versions[0].get("id") if versions else None
        if not isinstance(number, int):
            raise MalformedFileError(source.shown, "has no version that can be downloaded")
    version = _table(connection.json(f"{base}/model-versions/{number}", access), source)
    if source.model not in (None, version.get("modelId")):
        raise UsageError(
            f"{source.shown}: version {number} belongs to the model {version.get('modelId')}; leave one out."
        )
    return version


def _table(value: object, source: CivitaiSource) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise MalformedFileError(source.shown, "Civitai answers with something else than a description")
    return value


def _tables(value: object) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _text(table: Mapping[str, Any], name: str) -> str:
    value = table.get(name)
    return value if isinstance(value, str) else ""


def _files(version: Mapping[str, Any], source: CivitaiSource) -> list[dict[str, Any]]:
    """The files that may be meant: those of the number, hash or type that was asked for, else the models."""
    files = _tables(version.get("files"))
    type = dict(source.wanted).get("type", "").lower()
    if source.file is not None:
        found = [each for each in files if each.get("id") == source.file]
    elif source.digest:
        found = [each for each in files if source.digest in _hashes(each).values()]
    elif type and type not in _MODEL_TYPES:
        found = [each for each in files if _text(each, "type").lower() == type]
    else:
        found = [each for each in files if _text(each, "type").lower() in _MODEL_TYPES]
    if not files:
        raise MalformedFileError(source.shown, "has no files")
    return found or files


def _hashes(file: Mapping[str, Any]) -> dict[str, str]:
    found = file.get("hashes")
    return (
        {name: text.upper() for name, text in found.items() if isinstance(text, str)} if isinstance(found, dict) else {}
    )


def _candidate(file: Mapping[str, Any]) -> Candidate:
    facts = file.get("metadata")
    facts = facts if isinstance(facts, dict) else {}
    format = _FORMATS.get(_text(facts, "format").lower(), "")
    return Candidate(
        safe_name(_text(file, "name")), format, _text(facts, "fp"), _text(facts, "size"), file.get("primary") is True
    )


def _narrowed(order: Order, source: CivitaiSource) -> Order:
    """The order with what the address asks for, where the user asks for nothing else."""
    wanted = dict(source.wanted)
    asked: dict[str, Any] = {
        "format": _FORMATS.get(wanted.get("format", "").lower().removesuffix("s")),
        "precision": wanted.get("precision"),
        "extent": wanted.get("extent"),
    }
    return replace(order, **{name: value for name, value in asked.items() if not getattr(order, name)})


def _remote(file: Mapping[str, Any], version: Mapping[str, Any]) -> Remote:
    """A file of a version. Several of one version are told apart by number: their own addresses do not always do."""
    size = file.get("sizeKB")
    digest = _hashes(file).get("SHA256", "").lower()
    return Remote(
        _address(file, version),
        safe_name(_text(file, "name")),
        round(size * 1024) if isinstance(size, int | float) and size >= 0 else None,
        digest if _SHA256.fullmatch(digest) else "",
    )


def _address(file: Mapping[str, Any], version: Mapping[str, Any]) -> str:
    number = file.get("id")
    if file.get("primary") is not True and isinstance(number, int):
        return f"{_endpoint()}{_DOWNLOADS}models/{version.get('id')}?fileId={number}"
    parts = urlsplit(_text(file, "downloadUrl") or f"{_SITE}{_DOWNLOADS}models/{version.get('id')}")
    if parts.path.startswith(_DOWNLOADS):
        return f"{_endpoint()}{parts.path}{'?' * bool(parts.query)}{parts.query}"
    return parts.geturl()


def _kind(file: Mapping[str, Any], version: Mapping[str, Any]) -> str:
    """What Civitai calls a file: some versions have a VAE beside the model."""
    model = version.get("model")
    type = _text(file, "type")
    return KINDS.get(type, KINDS.get(_text(model, "type") if isinstance(model, dict) else "", ""))
