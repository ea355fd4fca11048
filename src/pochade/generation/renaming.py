"""LoRAs and embeddings that go by other names here than where a picture was drawn, found again by their hashes."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pochade.generation.extra_networks.embedding_files import EmbeddingFiles
from pochade.generation.extra_networks.lora_files import LoraFiles
from pochade.generation.parameters.lora_hashes import hash_of, names_in, renamed
from pochade.generation.request import Request
from pochade.library.find import find_by_hash

_PROMPTS = ("prompt", "negative_prompt", "hires_prompt", "hires_negative_prompt")
_OF_NUMBERS = 12  # digits of the hash that A1111 shows, which counts a file's numbers alone


def new_names(request: Request, told: Mapping[str, str], folders: Sequence[Path]) -> dict[str, str]:
    """What LoRAs that no file is called after are called here, by their names in a request's tags.

    `told` has their hashes by name: A1111's, or the beginning of the SHA-256 of their files.
    """
    listed = LoraFiles(folders)
    asked = {name: hash_of(name, told) for name in names_in(f"{request.prompt} {request.hires_prompt}")}
    absent = {name: digest for name, digest in asked.items() if digest and listed.find(name) is None}
    found = {name: listed.find(name, digest) or _by_file(digest, folders) for name, digest in absent.items()}
    return {name: path.stem for name, path in found.items() if path}


def with_names(request: Request, names: Mapping[str, str]) -> Request:
    """The request with other names in its tags."""
    prompt, hires_prompt = renamed(request.prompt, names), renamed(request.hires_prompt, names)
    return replace(request, prompt=prompt, hires_prompt=hires_prompt)


def new_words(told: Mapping[str, str], folders: Sequence[Path]) -> dict[str, str]:
    """What embeddings that no file is called after are called here, by the words that prompts have for them.

    `told` has the beginning of the SHA-256 of their files, by those words.
    """
    listed = EmbeddingFiles(folders).listed()
    known = {name.casefold() for name in listed}
    names = {file.path: name for name, file in listed.items()}
    absent = {word: digest for word, digest in told.items() if word.casefold() not in known}
    found = {word: find_by_hash(digest, folders, "embedding") for word, digest in absent.items()}
    return {word: names.get(path, path.stem) for word, path in found.items() if path}


def with_words(request: Request, words: Mapping[str, str]) -> Request:
    """The request with other words for embeddings in its prompts; what stands in tags is none."""
    longest_first = "|".join(map(re.escape, sorted(words, key=len, reverse=True)))
    pattern = re.compile(rf"<[^<>]*>|(?<!\w)(?:{longest_first})(?!\w)", re.IGNORECASE)
    here = {word.casefold(): name for word, name in words.items()}
    texts: dict[str, Any] = {
        field: pattern.sub(lambda match: here.get(match[0].casefold(), match[0]), getattr(request, field))
        for field in _PROMPTS
    }
    return replace(request, **texts)


def _by_file(digest: str, folders: Sequence[Path]) -> Path | None:
    return None if len(digest) == _OF_NUMBERS else find_by_hash(digest, folders, "lora")
