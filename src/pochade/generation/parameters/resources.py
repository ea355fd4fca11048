"""The models that a text tells of in JSON: `Hashes: {...}` and what Civitai adds behind A1111's parameters.

They stand unquoted in the line, where their commas would end them, so they are taken out before the rest is read.
"""

import json
import re
from dataclasses import dataclass, field
from typing import Any

_KEYS = ("Hashes", "Civitai resources", "Civitai metadata")
_MODEL_KINDS = {"model": "Model hash", "vae": "VAE hash"}
_LORAS = "lora:"
_EMBEDDINGS = "embed:"


@dataclass(frozen=True)
class Resources:
    """What such JSON tells: short hashes of files by what they are, and what Civitai calls them.

    `loras` and `embeddings` have names as keys, `files` A1111's names of parameters; `titles` are for people.
    """

    files: dict[str, str] = field(default_factory=dict)
    loras: dict[str, str] = field(default_factory=dict)
    embeddings: dict[str, str] = field(default_factory=dict)
    titles: tuple[str, ...] = ()


def taken_out(text: str) -> tuple[str, Resources]:
    """A text without such JSON, and what that told. What is no JSON stays where it is."""
    found: dict[str, Any] = {}
    rest = text
    for key in _KEYS:
        *_, match = [None, *re.finditer(rf"(?:, *|^){key}: *(?=[\[{{])", rest, re.MULTILINE)]  # the last one
        if match is None:
            continue
        try:
            found[key], end = json.JSONDecoder().raw_decode(rest, match.end())
        except (ValueError, RecursionError):
            continue
        after = rest[end:]
        rest = rest[: match.start()] + (after if match[0].startswith(",") else after.removeprefix(",").lstrip(" "))
    return rest, _resources(found) if found else Resources()


def _resources(found: dict[str, Any]) -> Resources:
    hashes = found.get("Hashes")
    told = {
        str(name): digest.lower()
        for name, digest in (hashes.items() if isinstance(hashes, dict) else ())
        if isinstance(digest, str)
    }
    listed = found.get("Civitai resources")
    titles = [_title(each) for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    return Resources(
        files={name: told[kind] for kind, name in _MODEL_KINDS.items() if kind in told},
        loras={name.removeprefix(_LORAS): digest for name, digest in told.items() if name.startswith(_LORAS)},
        embeddings={
            name.removeprefix(_EMBEDDINGS): digest for name, digest in told.items() if name.startswith(_EMBEDDINGS)
        },
        titles=tuple(filter(None, titles)),
    )


def _title(resource: dict[str, Any]) -> str:
    """One of Civitai's resources as people know it: kind, name and version, and its weight."""
    names = [resource.get(name) for name in ("type", "modelName", "modelVersionName")]
    words = [each for each in names if isinstance(each, str) and each]
    number, weight = resource.get("modelVersionId"), resource.get("weight")
    if isinstance(number, int):
        words.append(f"(version {number} at Civitai)")
    return " ".join([*words, f"weight {weight:g}"] if isinstance(weight, int | float) else words)
