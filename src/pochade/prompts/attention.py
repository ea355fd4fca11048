"""Emphasis in a prompt: `(more)`, `[less]`, `(weighted:1.3)` and the word BREAK."""

import re
import sys
from itertools import groupby

MORE = 1.1
LESS = 1 / 1.1
BREAK = ("BREAK", -1.0)

_DEEPEST = 1000  # brackets inside each other; 1.1 to that power is already beyond single precision
_NOWHERE = sys.maxsize

_TOKEN = re.compile(
    r"""\\[()\[\]\\]?                                  # an escaped bracket, or a backslash to drop
    | :\s*(?P<weight>[+-]?(?:\d+\.?\d*|\.\d+))\s*\)    # the end of a weighted bracket
    | [^\\()\[\]:]+
    | .""",
    re.VERBOSE | re.DOTALL,
)
_BREAK = re.compile(r"\s*\bBREAK\b\s*")


class _Reader:
    """The pieces read so far, their weights, and where the open brackets of both kinds begin."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.weights: list[float] = []
        self.round: list[int] = []
        self.square: list[int] = []

    def take(self, token: str, weight: str | None) -> None:
        """Read one more token; `weight` is the number when it ends a weighted bracket."""
        if token[0] == "\\":
            self._add(token[1:])
        elif token == "(":
            self._open(self.round)
        elif token == "[":
            self._open(self.square)
        elif self.round and (weight is not None or token == ")"):
            self._multiply(self.round.pop(), MORE if weight is None else float(weight))
        elif self.square and token == "]":
            self._multiply(self.square.pop(), LESS)
        else:
            self._add_words(token)

    def close(self) -> None:
        """Close what is still open at the end of the text."""
        for start in self.round:
            self._multiply(start, MORE)
        for start in self.square:
            self._multiply(start, LESS)

    def _open(self, brackets: list[int]) -> None:
        """Remember where a bracket begins. Too deep inside others it weighs nothing, so that time stays linear."""
        is_deep = len(self.round) + len(self.square) >= _DEEPEST
        brackets.append(_NOWHERE if is_deep else len(self.pieces))

    def _add(self, piece: str, weight: float = 1.0) -> None:
        self.pieces.append(piece)
        self.weights.append(weight)

    def _add_words(self, text: str) -> None:
        first, *others = _BREAK.split(text)
        self._add(first)
        for part in others:
            self._add(*BREAK)
            self._add(part)

    def _multiply(self, start: int, factor: float) -> None:
        self.weights[start:] = [weight * factor for weight in self.weights[start:]]


def parse(text: str) -> list[tuple[str, float]]:
    """Pieces of text with their weights; neighbours of equal weight are one piece, and BREAK is a piece of weight -1.

    A number that is none, as in `(a:1.2.3)`, is text. Brackets multiply the -1 of a BREAK inside them too, and it then
    breaks nothing.
    """
    reader = _Reader()
    for match in _TOKEN.finditer(text):
        reader.take(match[0], match["weight"])
    reader.close()
    runs = groupby(zip(reader.pieces, reader.weights, strict=True), key=lambda pair: pair[1])
    return [("".join(piece for piece, _ in run), weight) for weight, run in runs] or [("", 1.0)]
