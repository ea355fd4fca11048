"""Two pictures side by side: what differs in how they were made, and in their pixels."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from pochade.generation.picture import Metadata
from pochade.generation.record import records_in
from pochade.generation.request import Request, defaults

_TOKEN = re.compile(r"\w+|\s+|[^\w\s]")
_MOST_TOKENS = 2000  # of a text that is compared word by word
_ALIKE = 0.4  # share of tokens in common from which this helps
SAME, LEFT, RIGHT = "same", "left", "right"


@dataclass(frozen=True)
class Row:
    """A setting of both pictures; None where one does not tell it."""

    name: str
    left: Any
    right: Any

    @property
    def differs(self) -> bool:
        """Whether the pictures were made with different values of it."""
        return bool(self.left != self.right)


class Pixels(NamedTuple):
    """How far two pictures of one size are apart, in steps of 255."""

    largest: int
    mean: float


class Piece(NamedTuple):
    """A part of two texts: the same in both, or only in the left or the right one."""

    side: str
    text: str


def compare_settings(left: Metadata, right: Metadata) -> list[Row]:
    """Every setting that at least one of two pictures has changed from its default.

    Of two pictures by Pochade their records are compared, else what the texts tell.
    """
    is_complete = left.request is not None and right.request is not None
    both = _settings(left, is_complete), _settings(right, is_complete)
    usual = _flat(Request())
    rows = [Row(name, *(each.get(name) for each in both)) for name in dict.fromkeys((*both[0], *both[1]))]
    return [row for row in rows if row.differs or row.left != usual.get(row.name)]


def _settings(metadata: Metadata, is_complete: bool) -> dict[str, Any]:
    if is_complete and metadata.request is not None:
        request, index = metadata.request, metadata.index
        variation = request.variation_seed_of(index) if request.variation_strength else defaults()["variation_seed"]
        return _flat(request) | {"seed": request.seed_of(index), "variation_seed": variation}
    if not metadata.infotext:
        return {}
    recalled = metadata.settings.recalled()
    told = metadata.settings.parameters
    return _flat(recalled.request) | {name: told[name] for name in recalled.ignored if name in told}


def _flat(request: Request) -> dict[str, Any]:
    """Every field as a plain value; the records in a field are numbered, from 1."""
    found: dict[str, Any] = {}
    for name, value in request.to_dict().items():
        kind = records_in(Request, name) if name in defaults() else None
        if kind is None:
            found[name] = value
            continue
        for number, record in enumerate(value, 1):
            found |= {f"{kind.title} {number} {inner}": each for inner, each in record.items()}
    return found


def compare_pixels(left: Image.Image, right: Image.Image) -> Pixels | None:
    """How far two pictures are apart; None if their sizes differ. Transparency counts as a fourth colour."""
    if left.size != right.size:
        return None
    mode = "RGBA" if "A" in left.getbands() + right.getbands() else "RGB"
    first, second = (np.asarray(each.convert(mode), np.int16) for each in (left, right))
    apart = np.abs(first - second)
    return Pixels(int(apart.max(initial=0)), float(apart.mean()) if apart.size else 0.0)


def compare_words(left: str, right: str) -> Iterator[Piece]:
    """Two texts as one, in pieces that are in both or in one of them."""
    tokens = _TOKEN.findall(left), _TOKEN.findall(right)
    matcher = SequenceMatcher(None, *tokens)
    if max(map(len, tokens)) > _MOST_TOKENS or matcher.ratio() < _ALIKE:
        yield from (Piece(side, text) for side, text in ((LEFT, left), (RIGHT, right)) if text)
        return
    for kind, start, end, other_start, other_end in matcher.get_opcodes():
        old, new = "".join(tokens[0][start:end]), "".join(tokens[1][other_start:other_end])
        if kind == "equal":
            yield Piece(SAME, old)
            continue
        yield from (Piece(side, text) for side, text in ((LEFT, old), (RIGHT, new)) if text)
