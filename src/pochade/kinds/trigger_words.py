"""The words that call up what a LoRA, an embedding or a tuned model has learned."""

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pochade.files import Weights
from pochade.files.metadata import table_in
from pochade.kinds import embedding

_PHRASE, _TAGS, _FOLDERS = "modelspec.trigger_phrase", "ss_tag_frequency", "ss_dataset_dirs"
_FOLDER = re.compile(r"\d+_(.+)")  # how often each picture is taken, then the words
_NEARLY_ALL = 0.9
_MOST = 10


def noted(metadata: Mapping[str, str]) -> list[str]:
    """Return the words that metadata states, else the tags in nearly every caption, else those in the folders' names.

    Folders of regularisation pictures do not count.
    """
    if stated := [word.strip() for word in metadata.get(_PHRASE, "").split(",") if word.strip()]:
        return stated
    folders, tags = table_in(metadata, _FOLDERS), table_in(metadata, _TAGS)
    learned = {name: counts for name, counts in tags.items() if name in folders} or tags
    words: Counter[str] = Counter()
    for name, counts in learned.items():
        words.update(_in_nearly_every_caption(counts, folders.get(name)))
    if not tags:
        words.update(found[1] for found in map(_FOLDER.fullmatch, folders) if found)
    return [word for word, _ in words.most_common(_MOST)]


def of_embedding(weights: Weights, path: Path) -> list[str]:
    """Return diffusers' tokens, and the name that web UIs know it by: the file's, or the one inside a picture."""
    inside = weights.extra.get("name") if weights.format == "image" else None
    name = inside if isinstance(inside, str) and inside else path.stem
    return [*filter(embedding.is_token, weights), name]


def _in_nearly_every_caption(counts: object, folder: object) -> dict[str, int]:
    """Return the tags of a folder by how many captions have them; nothing if it is not known how many there are."""
    tags = {tag.strip(): count for tag, count in _items(counts) if type(count) is int and count > 0 and tag.strip()}
    pictures = dict(_items(folder)).get("img_count")
    if not isinstance(pictures, int) or pictures < 1:
        pictures = max(tags.values(), default=0)
        if pictures == 1 < len(tags):  # whole sentences, each in one caption
            return {}
    return {tag: count for tag, count in tags.items() if count >= _NEARLY_ALL * pictures}


def _items(value: object) -> list[tuple[str, Any]]:
    return list(value.items()) if isinstance(value, dict) else []
