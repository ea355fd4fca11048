"""A prompt cut into windows of 77 token ids with a weight each: start, 75 places, end."""

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass

from pochade.errors import UsageError
from pochade.prompts import attention
from pochade.prompts.emphasis import Emphasis
from pochade.prompts.tokenizer import END, START, WINDOW, Tokenizer

PLACES = WINDOW - 2
COMMA = 267
SLOT_TOKEN = 0


@dataclass(frozen=True)
class Slot:
    """Where `count` vectors of the embedding `name` go; `offset` counts from the first place behind the start token."""

    offset: int
    name: str
    count: int


@dataclass(frozen=True)
class Chunk:
    """One window for the text encoder; `used` is what it adds to the token count: all 75 places but in the last."""

    tokens: tuple[int, ...]
    multipliers: tuple[float, ...]
    slots: tuple[Slot, ...]
    used: int


class Names:
    """Embeddings' names as token sequences, to be found in the tokens of a prompt; the longest match wins."""

    def __init__(self, names: Iterable[str], tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._by_first: dict[int, list[tuple[list[int], str]]] = {}
        for name in names:
            if ids := tokenizer.encode(name):
                self._by_first.setdefault(ids[0], []).append((ids, name))
        for candidates in self._by_first.values():
            candidates.sort(key=lambda candidate: -len(candidate[0]))

    def named_in(
        self, text: str, emphasis: Emphasis = Emphasis.ORIGINAL, passed_over: Set[str] = frozenset()
    ) -> list[str]:
        """The names that a prompt without tags, AND and editing holds, each once; some are not counted as names."""
        words = [piece[0] for piece in _pieces(text, emphasis) if piece != attention.BREAK]
        read = (self.read(self._tokenizer.encode(each), passed_over) for each in words)
        return list(dict.fromkeys(name for piece in read for _, name in piece if name is not None))

    def read(self, ids: list[int], passed_over: Set[str] = frozenset()) -> Iterator[tuple[int, str | None]]:
        """Yield each token of a piece of a prompt; for those that make up a name the first one, with the name."""
        position = 0
        while position < len(ids):
            name, length = self._find(ids, position, passed_over)
            yield ids[position], name
            position += length

    def _find(self, ids: list[int], position: int, passed_over: Set[str]) -> tuple[str | None, int]:
        """The name that begins at `position`, and how many tokens it is written with."""
        for name_ids, name in self._by_first.get(ids[position], ()):
            if name not in passed_over and ids[position : position + len(name_ids)] == name_ids:
                return name, len(name_ids)
        return None, 1


def _pieces(text: str, emphasis: Emphasis) -> list[tuple[str, float]]:
    """A prompt as texts of one weight each; the mode None reads no brackets."""
    return [(text, 1.0)] if emphasis is Emphasis.NONE else attention.parse(text)


class _Filler:
    """Fills windows place by place. `comma` is the place of the last comma in the window being filled, or -1."""

    def __init__(self, comma_backtrack: int, pad: int) -> None:
        self.chunks: list[Chunk] = []
        self.comma_backtrack = comma_backtrack
        self.pad = pad
        self._begin([], [])

    def _begin(self, tokens: list[int], multipliers: list[float]) -> None:
        self.tokens = tokens
        self.multipliers = multipliers
        self.slots: list[Slot] = []
        self.comma = -1

    def close(self, last: bool = False) -> None:
        """Pad the window, put it away and begin an empty one."""
        used = len(self.tokens)
        tokens = [START, *self.tokens] + [END] * (PLACES - used + 1)
        if self.pad != END:
            end = tokens.index(END)
            tokens[end + 1 :] = [self.pad] * (len(tokens) - end - 1)
        multipliers = [1.0, *self.multipliers] + [1.0] * (PLACES - used + 1)
        self.chunks.append(Chunk(tuple(tokens), tuple(multipliers), tuple(self.slots), used if last else PLACES))
        self._begin([], [])

    def make_room(self, token: int) -> None:
        """See to it that the next token has a place: a full window moves what follows its last comma along."""
        full = len(self.tokens) == PLACES
        if token == COMMA:
            self.comma = len(self.tokens)
        elif full and self.comma >= 0 and PLACES - self.comma <= self.comma_backtrack:
            # Slots stay with the window they were counted in, as in the reference.
            cut = self.comma + 1
            tokens, multipliers = self.tokens[cut:], self.multipliers[cut:]
            del self.tokens[cut:], self.multipliers[cut:]
            self.close()
            self._begin(tokens, multipliers)
            return
        if full:
            self.close()

    def add(self, token: int, weight: float) -> None:
        """One more token."""
        self.tokens.append(token)
        self.multipliers.append(weight)

    def add_slot(self, name: str, count: int, weight: float) -> None:
        """Places for an embedding, in the next window where they do not fit."""
        if len(self.tokens) + count > PLACES:
            self.close()
        self.slots.append(Slot(len(self.tokens), name, count))
        self.tokens += [SLOT_TOKEN] * count
        self.multipliers += [weight] * count

    def finish(self) -> list[Chunk]:
        """All windows, at least one."""
        if self.tokens or not self.chunks:
            self.close(last=True)
        return self.chunks


def chunk(
    text: str,
    tokenizer: Tokenizer | None = None,
    embeddings: Mapping[str, int] | None = None,
    comma_backtrack: int = 20,
    emphasis: Emphasis = Emphasis.ORIGINAL,
    pad: int = END,
) -> list[Chunk]:
    """Windows of 77 ids for a prompt without tags, AND and editing.

    `embeddings` maps names to numbers of vectors. A full window is cut behind its last comma when that is among its
    last `comma_backtrack` places. `pad` follows the end token: CLIP-L repeats the end, OpenCLIP has 0.
    """
    tokenizer = tokenizer or Tokenizer()
    counts = embeddings or {}
    _check_counts(counts)
    names = Names(counts, tokenizer)
    filler = _Filler(comma_backtrack, pad)
    for piece in _pieces(text, emphasis):
        if piece == attention.BREAK:
            filler.close()
            continue
        words, weight = piece
        for token, name in names.read(tokenizer.encode(words)):
            filler.make_room(token)
            if name is None:
                filler.add(token, weight)
            else:
                filler.add_slot(name, counts[name], weight)
    return filler.finish()


def _check_counts(counts: Mapping[str, int]) -> None:
    for name, count in counts.items():
        if count > PLACES:
            raise UsageError(f"The embedding {name!r} has {count} vectors, but a prompt window holds {PLACES}.")


def token_count(chunks: list[Chunk]) -> int:
    """The number shown to the user: whole windows, and what the last one holds."""
    return sum(each.used for each in chunks)
