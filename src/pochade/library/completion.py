"""Complete a prompt while it is typed: names of LoRAs, hypernetworks and embeddings, and trigger words."""

import re
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice, product

from pochade.library.entries import Entry

_TAGS = {"lora": "lora", "lyco": "lora", "hypernet": "hypernetwork"}
"""The words of prompts for networks, each with the kind of their files."""
_IN_PROSE = ("embedding", "word", "lora")
_TAG = re.compile(r"<(?P<word>\w+):(?P<name>[^<>:]*)$")
_REST_OF_TAG = re.compile(r"[^<>,\n]*>")
_ENDS = ",\n<>|[]{}"
"""What no word of a prompt goes beyond."""
_WORD_STARTS = re.compile(r"(?<![^\W_])[^\W_]|(?<=[a-z])(?=[A-Z])")
_SPECIAL = re.compile(r"([\\()\[\]])")
_MOST_WORDS = 5  # of a phrase that is being typed
_LAST = chr(0x10FFFF)


@dataclass(frozen=True)
class Completion:
    """A text that may take the place of [start, end) in a prompt; `kind` is that of the model `name`, or `word`."""

    text: str
    start: int
    end: int
    kind: str
    name: str
    base: str


@dataclass(frozen=True)
class _Choice:
    label: str
    text: str
    kind: str
    name: str
    base: str

    def fits(self, base: str) -> bool:
        """Whether it may go with a base; what is not known may."""
        return not base or not self.base or self.base == base


@dataclass(frozen=True)
class _Shelf:
    """Choices in the order of their keys: what they are called, from the beginning of one of its words on."""

    keys: Sequence[str]
    choices: Sequence[_Choice]

    @classmethod
    def of(cls, keyed: Iterable[tuple[str, _Choice]]) -> "_Shelf":
        pairs = sorted(keyed, key=lambda pair: (pair[0], pair[1].label.casefold()))
        return cls([key for key, _ in pairs], [choice for _, choice in pairs])

    def beginning(self, typed: str) -> Iterator[_Choice]:
        """Those whose key begins so, in order."""
        return iter(self.choices[bisect_left(self.keys, typed) : bisect_left(self.keys, typed + _LAST)])


@dataclass(frozen=True)
class Completer:
    """The choices of a library by kind, and by whether their own beginning counts or that of a word inside."""

    shelves: Mapping[tuple[str, bool], _Shelf] = field(repr=False)

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> "Completer":
        """Sort what models offer to prompts."""
        distinct: dict[tuple[str, str], _Choice] = {}
        for choice in _choices(list(entries)):
            place = choice.kind, choice.label.casefold()
            first = distinct.setdefault(place, choice)
            distinct[place] = first if first.base == choice.base else replace(first, base="")
        keyed: dict[tuple[str, bool], list[tuple[str, _Choice]]] = defaultdict(list)
        for choice in distinct.values():
            for start in _starts(choice.label):
                keyed[choice.kind, start == 0].append((choice.label[start:].casefold(), choice))
        return cls({place: _Shelf.of(pairs) for place, pairs in keyed.items()})

    def completions(self, prompt: str, cursor: int | None = None, base: str = "", most: int = 20) -> list[Completion]:
        """What the text before the cursor may become, best first: what fits the `base`, then what begins so.

        Inside `<lora:` these are LoRAs, inside `<hypernet:` hypernetworks, elsewhere embeddings, trigger words and
        whole tags of LoRAs.
        """
        cursor = len(prompt) if cursor is None else max(0, min(cursor, len(prompt)))
        before = prompt[:cursor]
        if tag := _TAG.search(before):
            rest = _REST_OF_TAG.match(prompt, cursor)
            found = self._beginning(tag["name"], (_TAGS.get(tag["word"].casefold(), ""),), base, most)
            return [_completion(each, tag.start(), rest.end() if rest else cursor) for each in found]
        for start in _phrases(before):
            if found := self._beginning(before[start:], _IN_PROSE, base, most):
                return [_completion(each, start, cursor) for each in found]
        return []

    def _beginning(self, typed: str, kinds: Sequence[str], base: str, most: int) -> list[_Choice]:
        found: dict[_Choice, None] = {}
        for fits, at_start in product((True, False), repeat=2):
            shelves = [self.shelves[kind, at_start] for kind in kinds if (kind, at_start) in self.shelves]
            for shelf in shelves:
                suitable = (each for each in shelf.beginning(typed.casefold()) if each.fits(base) == fits)
                found |= dict.fromkeys(islice(suitable, most))
            if len(found) >= most:
                break
        return list(found)[:most]


def _choices(entries: Sequence[Entry]) -> Iterator[_Choice]:
    """What each model offers: the tag of a network, the name of an embedding, and trigger words."""
    stems = Counter((entry.facts.kind, entry.stem.casefold()) for entry in entries)
    for entry in entries:
        kind, name = entry.facts.kind, entry.name
        if entry.is_broken or entry.is_unsafe:
            continue
        word = next((word for word, named in _TAGS.items() if named == kind), "")
        if word:
            label = entry.stem if stems[kind, entry.stem.casefold()] == 1 else name
            weight = 1.0 if entry.notes.weight is None else entry.notes.weight
            yield _Choice(label, f"<{word}:{label}:{weight:g}>", kind, name, entry.base)
        if kind == "embedding":
            yield _Choice(entry.stem, _escaped(entry.stem), kind, name, entry.base)
        elif kind in ("lora", "checkpoint"):
            yield from (_Choice(each, _escaped(each), "word", name, entry.base) for each in entry.trigger_words)


def _escaped(word: str) -> str:
    """A word as prompts have it, where brackets stand for emphasis."""
    return _SPECIAL.sub(r"\\\1", word)


def _starts(label: str) -> Iterator[int]:
    """The places in a name at which a word begins, first its own beginning."""
    yield 0
    yield from (found.start() for found in _WORD_STARTS.finditer(label) if found.start())


def _phrases(before: str) -> list[int]:
    """Where what is being typed may begin: some words back, as far as the last comma; the longest first."""
    start = max(map(before.rfind, _ENDS)) + 1
    words = [start + each.start() for each in re.finditer(r"[^\s(]+", before[start:])]
    return [] if before[-1:].isspace() else words[-_MOST_WORDS:]


def _completion(choice: _Choice, start: int, end: int) -> Completion:
    return Completion(choice.text, start, end, choice.kind, choice.name, choice.base)
