"""What a file says about its own use: in its metadata, and in the notes that people keep beside it."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from pochade.kinds import trigger_words
from pochade.library.entries import Notes
from pochade.library.sidecars import beside, notes_in

Range: TypeAlias = tuple[float, float]

_HINT = "modelspec.usage_hint"
_CLIP_SKIPS = ("modelspec.encoder_layer", "ss_clip_skip")
_MOST_CLIP_SKIP = 12
_NUMBER = r"(\d{1,3}(?:\.\d{1,3})?)"
_FROM_TO = rf"[^\d\n.;]{{0,20}}{_NUMBER}\s*(?:-|–|—|~|to|and)\s*{_NUMBER}"
_CFG = re.compile(rf"\bcfg(?:[ _]?scale)?\b{_FROM_TO}", re.IGNORECASE)
_WEIGHT = re.compile(rf"(?<!denoising )(?<!denoise )\b(?:weight|strength)s?\b{_FROM_TO}", re.IGNORECASE)
_CLIP_SKIP = re.compile(r"\bclip[ _-]?skip\b[^\d\n]{0,5}(\d{1,2})\b", re.IGNORECASE)


@dataclass(frozen=True)
class Usage:
    """The words that call a file's matter up, and the settings that it asks for: the lowest and the highest."""

    trigger_words: tuple[str, ...] = ()
    weight: Range | None = None
    cfg: Range | None = None
    clip_skip: int | None = None

    @classmethod
    def of(cls, path: Path, metadata: Mapping[str, str]) -> "Usage":
        """What the metadata of a file says, and what lies beside it: what people noted there goes before the rest."""
        return cls.told(metadata, _notes_beside(path))

    @classmethod
    def told(cls, metadata: Mapping[str, str], notes: Notes) -> "Usage":
        """What metadata and notes say."""
        text = f"{notes.description}\n{metadata.get(_HINT, '')}"
        words = notes.trigger_words or tuple(trigger_words.noted(metadata))
        weight = (notes.weight, notes.weight) if notes.weight else _range(_WEIGHT, text)
        return cls(words, weight, _range(_CFG, text), _clip_skip(metadata, text))


def _notes_beside(path: Path) -> Notes:
    try:
        present = {name.casefold(): name for name in os.listdir(path.parent)}
    except OSError:
        return Notes()
    return notes_in(str(path.parent), path.stem, beside(path.stem, present))


def _range(pattern: re.Pattern[str], text: str) -> Range | None:
    found = pattern.search(text)
    return (float(found[1]), float(found[2])) if found and float(found[1]) <= float(found[2]) else None


def _clip_skip(metadata: Mapping[str, str], text: str) -> int | None:
    stated = [metadata.get(name, "") for name in _CLIP_SKIPS] + _CLIP_SKIP.findall(text)
    numbers = (int(each) for each in stated if re.fullmatch(r"[0-9]{1,2}", each))
    return next((each for each in numbers if 1 <= each <= _MOST_CLIP_SKIP), None)
