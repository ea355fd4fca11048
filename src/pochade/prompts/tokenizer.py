"""CLIP's byte-pair tokenizer with the text rules of the slow CLIPTokenizer: ftfy, single spaces, lower case."""

import gzip
import re
from functools import cache, lru_cache
from heapq import heapify, heappop, heappush
from importlib import resources

from pochade.prompts.characters import shadow

START = 49406
END = 49407
WINDOW = 77
SPECIAL = {"<|startoftext|>": START, "<|endoftext|>": END}

_PRINTABLE = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
_BYTES = _PRINTABLE + [byte for byte in range(256) if byte not in set(_PRINTABLE)]  # in the order of their token ids
_BYTE_IDS = {byte: index for index, byte in enumerate(_BYTES)}
_BYTE_NAMES = {
    byte: chr(byte if index < len(_PRINTABLE) else 256 + index - len(_PRINTABLE)) for byte, index in _BYTE_IDS.items()
}
_WORD_END = "</w>"

_SPLIT = re.compile("(" + "|".join(map(re.escape, SPECIAL)) + ")")
_CLEAN = re.compile(r"[ -%'-~\t\n\f\r]*")  # printable ASCII without &: text that ftfy would return unchanged
# Words of a shadow: é stands for any other letter, ² for any other number; ſ is the one letter that folds to an s.
_WORD = re.compile(
    r"<\|[sſ]tartoftext\|>|<\|endoftext\|>|'[sſ]|'t|'re|'ve|'m|'ll|'d|[a-zéſ]+|[0-9²]|[^\sa-zéſ0-9²]+",
)


@cache
def _merges() -> dict[str, int]:
    """Pair of symbols, written with a space between, to the id of the symbol they form; a lower id joins first."""
    packed = resources.files("pochade.prompts").joinpath("clip_merges.txt.gz").read_bytes()
    pairs = gzip.decompress(packed).decode("utf-8").splitlines()
    return dict(zip(pairs, range(2 * len(_BYTES), START), strict=True))


def merges() -> list[str]:
    """The pairs of symbols that join, those that join first at the beginning, as in CLIP's own table."""
    return list(_merges())


def vocabulary() -> dict[str, int]:
    """Every symbol, written in CLIP's printable alphabet, with its token id."""
    letters = [_BYTE_NAMES[byte] for byte in _BYTES]
    symbols = [*letters, *(letter + _WORD_END for letter in letters), *(pair.replace(" ", "") for pair in merges())]
    return {symbol: index for index, symbol in enumerate(symbols)} | SPECIAL


class _Word:
    """The symbols of one word as a linked list: `names` and `ids` by place, an absorbed place has an empty name."""

    def __init__(self, word: str) -> None:
        raw = word.encode("utf-8")
        self.names = [_BYTE_NAMES[byte] for byte in raw]
        self.ids = [_BYTE_IDS[byte] for byte in raw]
        self.names[-1] += _WORD_END
        self.ids[-1] += len(_BYTES)
        self.after = list(range(1, len(raw) + 1))
        self.before = list(range(-1, len(raw)))

    def merged_id(self, left: int) -> int | None:
        """The id of the symbol that the one at `left` and its right neighbour form, if they do."""
        right = self.after[left]
        return _merges().get(f"{self.names[left]} {self.names[right]}") if right < len(self.names) else None

    def join(self, left: int, merged: int) -> tuple[int, ...]:
        """Absorb the right neighbour of `left`; return the places whose pairs have changed."""
        right = self.after[left]
        self.names[left] += self.names[right]
        self.names[right] = ""
        self.ids[left] = merged
        self.after[left] = self.after[right]
        self.before[self.after[right]] = left
        return (self.before[left], left) if self.before[left] >= 0 else (left,)


@lru_cache(maxsize=16384)
def _word_ids(word: str) -> tuple[int, ...]:
    """Join neighbouring symbols, lowest id first and leftmost first, until no known pair is left."""
    if word in SPECIAL:
        return (SPECIAL[word],)
    symbols = _Word(word)
    places = range(len(symbols.names))
    queue = [(merged, place) for place in places if (merged := symbols.merged_id(place)) is not None]
    heapify(queue)
    while queue:
        merged, place = heappop(queue)
        if symbols.merged_id(place) != merged:
            continue
        for changed in symbols.join(place, merged):
            if (again := symbols.merged_id(changed)) is not None:
                heappush(queue, (again, changed))
    return tuple(symbols.ids[place] for place in places if symbols.names[place])


def _fixed(text: str) -> str:
    """Mend mojibake, entities and control characters as ftfy does; ftfy is only imported for text that may need it."""
    if _CLEAN.fullmatch(text):
        return text
    import ftfy

    return ftfy.fix_text(text)


def clean(text: str) -> str:
    """The text that the words are cut from: mended, blanks collapsed, lower case."""
    return re.sub(r"\s+", " ", _fixed(text)).strip().lower()


class Tokenizer:
    """Text to token ids, and the ids that frame and pad a window."""

    start = START
    end = END

    def encode(self, text: str) -> list[int]:
        """The token ids of `text` without start, end and padding."""
        ids: list[int] = []
        for part in _SPLIT.split(text):
            if part in SPECIAL:
                ids.append(SPECIAL[part])
            else:
                ids.extend(self._plain(clean(part)))
        return ids

    def _plain(self, text: str) -> list[int]:
        """The ids of cleaned text; words are found in its shadow, which has the same length."""
        spans = (match.span() for match in _WORD.finditer(shadow(text)))
        return [token for begin, end in spans for token in _word_ids(text[begin:end])]

    def padded(self, text: str, pad: int = END) -> list[int]:
        """One window of 77 ids: start, the text as far as it fits, end, padding."""
        ids = [self.start, *self.encode(text)[: WINDOW - 2], self.end]
        return ids + [pad] * (WINDOW - len(ids))


def tokenize(text: str) -> list[int]:
    """The CLIP token ids of `text` without start, end and padding."""
    return Tokenizer().encode(text)
