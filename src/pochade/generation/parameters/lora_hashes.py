"""Which files the names in a prompt stood for: `Lora hashes` and `TI hashes`, and tags under other names."""

import re
from collections.abc import Mapping

LORAS = "Lora hashes"
EMBEDDINGS = "TI hashes"

_HASH = re.compile(r"[0-9a-f]{8,64}", re.IGNORECASE)
_NOT_IN_NAMES = str.maketrans("", "", ",:")  # they would end a name too early
_TAG = re.compile(r"(?P<begin><(?:lora|lyco):)(?P<name>[^:<>]+)(?P<end>[:>])")


def hashes_of(text: str) -> dict[str, str]:
    """The hash of each name in the value of `Lora hashes` or `TI hashes`; what has no hash is passed over.

    >>> hashes_of("ink: 1234567890ab, night: abcdef012345")
    {'ink': '1234567890ab', 'night': 'abcdef012345'}
    """
    pairs = (part.rpartition(":") for part in text.split(","))
    named = {name.strip(): digest.strip().lower() for name, _, digest in pairs}
    return {name: digest for name, digest in named.items() if name and _HASH.fullmatch(digest)}


def listed(hashes: Mapping[str, str]) -> str:
    """The value that tells the hash of each name, as A1111 writes it."""
    return ", ".join(f"{name.translate(_NOT_IN_NAMES)}: {digest}" for name, digest in hashes.items())


def names_in(prompt: str) -> list[str]:
    """The names of the LoRAs that tags of a prompt ask for, each once."""
    return list(dict.fromkeys(tag["name"] for tag in _TAG.finditer(prompt)))


def hash_of(name: str, hashes: Mapping[str, str]) -> str:
    """The hash of the LoRA that a tag calls `name`; empty if it is not told. Folders and odd marks do not count."""
    plain = name.replace("\\", "/").rpartition("/")[2].translate(_NOT_IN_NAMES)
    return next((hashes[each] for each in (name, name.translate(_NOT_IN_NAMES), plain) if each in hashes), "")


def renamed(prompt: str, names: Mapping[str, str]) -> str:
    """The prompt with new names, by old ones, in its LoRA tags; their weights stay.

    >>> renamed("a house <lora:ink:0.8>", {"ink": "ink-v2"})
    'a house <lora:ink-v2:0.8>'
    """
    return _TAG.sub(lambda tag: f"{tag['begin']}{names.get(tag['name'], tag['name'])}{tag['end']}", prompt)
