"""The words by which models are looked for: `base:sdxl kind:lora fox -anime "red scarf" size:<200mb`."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from operator import ge, gt, le, lt

from pochade.errors import UnknownNameError, UsageError
from pochade.library.entries import SAFE, Entry

KINDS = (
    *("checkpoint", "lora", "embedding", "vae", "controlnet", "hypernetwork", "upscaler", "text-encoder", "unet"),
    "unknown",
)
_ALGORITHMS = ("locon", "loha", "lokr", "ia3", "dylora", "glora", "full", "norm", "oft", "boft", "dora")
_OTHER_WORDS = {"model": "checkpoint", "lycoris": "lora", "ti": "embedding", "textual-inversion": "embedding"}

_TERM = re.compile(r'(?P<no>(?:-(?=\S))?)(?:(?P<key>[A-Za-z_]+):)?(?:"(?P<phrase>[^"]*)"?|(?P<word>\S*))')
_SIZE = re.compile(r"(?P<sign>[<>]=?|)(?P<number>\d+(?:\.\d+)?)(?P<unit>[kmgt]?)i?b?", re.IGNORECASE)
_SIGNS: dict[str, Callable[[float, float], bool]] = {"<": lt, "<=": le, ">": gt, ">=": ge, "": ge}
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_NOT_TOLD_APART = re.compile(r"[\W_]+")

Holds = Callable[[Entry], bool]


@dataclass(frozen=True)
class Query:
    """What is looked for: every condition must hold."""

    conditions: tuple[Holds, ...] = ()

    def holds(self, entry: Entry) -> bool:
        """Tell whether a model is one of those."""
        return all(condition(entry) for condition in self.conditions)

    def among(self, entries: Iterable[Entry]) -> list[Entry]:
        """Those of some models, in their order."""
        return [entry for entry in entries if self.holds(entry)]


def query(text: str) -> Query:
    """Read a query. Raises UsageError for a key that is none, or a value that it cannot have."""
    return Query(tuple(_condition(found) for found in _TERM.finditer(text) if found[0]))


def is_kind(name: str) -> Holds:
    """The condition that a model is of a kind, or made by an algorithm; UnknownNameError where neither exists."""
    wanted = _OTHER_WORDS.get(name.casefold(), name.casefold())
    if wanted in _ALGORITHMS:
        return lambda entry: entry.facts.algorithm == wanted
    if wanted not in KINDS:
        raise UnknownNameError("kind of model", name, [*KINDS, *_ALGORITHMS])
    return lambda entry: entry.facts.kind == wanted


def _condition(found: re.Match[str]) -> Holds:
    value = found["word"] if found["phrase"] is None else found["phrase"]
    holds = _with_key(found["key"], value) if found["key"] else _has_word(value)
    return (lambda entry: not holds(entry)) if found["no"] else holds


def _with_key(name: str, value: str) -> Holds:
    key = name.casefold()
    if key not in _KEYS:
        known = ", ".join(_KEYS)
        word = f'"{name}:{value}"'
        raise UsageError(f"There is no search key {name!r}: known are {known}. To look for a word, write {word}.")
    return _KEYS[key](value)


def _has_word(value: str) -> Holds:
    wanted = value.casefold()
    return lambda entry: any(wanted in text.casefold() for text in _texts(entry))


def _texts(entry: Entry) -> tuple[str, ...]:
    return (entry.name, entry.title, *entry.trigger_words, *entry.tags, entry.stated_base, entry.description)


def _among(values: Callable[[Entry], Iterable[str | None]]) -> Callable[[str], Holds]:
    """A key whose value is part of one of some texts; without a value it asks whether there are any."""

    def condition(value: str) -> Holds:
        wanted = value.casefold()
        return lambda entry: any(each and wanted in each.casefold() for each in values(entry))

    return condition


def _is_for(value: str) -> Holds:
    """Tell models for a base: by its family, or as people spell it."""
    wanted = _bare(value)
    return lambda entry: any(each and wanted in _bare(each) for each in (entry.facts.family, entry.stated_base))


def _bare(text: str) -> str:
    return _NOT_TOLD_APART.sub("", text.casefold())


def _has_size(value: str) -> Holds:
    found = _SIZE.fullmatch(value)
    if not found:
        raise UsageError(f"size:{value} cannot be understood; write it like size:>2gb or size:<200mb.")
    compare, limit = _SIGNS[found["sign"]], float(found["number"]) * _UNITS[found["unit"].lower()]
    return lambda entry: compare(entry.bytes, limit)


def _has_rank(value: str) -> Holds:
    if not value.isdecimal():
        raise UsageError(f"rank:{value} cannot be understood; write a whole number, like rank:32.")
    return lambda entry: entry.facts.rank == int(value)


def _is_unsafe(value: str) -> Holds:
    """Tell what a scan does not call safe, or by the answer of the scan."""
    wanted = value.casefold()
    return lambda entry: entry.facts.verdict != SAFE and wanted in entry.facts.verdict


_KEYS: dict[str, Callable[[str], Holds]] = {
    "kind": is_kind,
    "base": _is_for,
    "name": _among(lambda entry: [entry.name]),
    "trigger": _among(lambda entry: entry.trigger_words),
    "tag": _among(lambda entry: entry.tags),
    "size": _has_size,
    "rank": _has_rank,
    "variant": _among(lambda entry: [entry.facts.variant]),
    "prediction": _among(lambda entry: [entry.facts.prediction]),
    "dtype": _among(lambda entry: entry.facts.dtypes),
    "format": _among(lambda entry: [entry.facts.format]),
    "problem": _among(lambda entry: entry.problems),
    "unsafe": _is_unsafe,
    "hash": _among(lambda entry: [entry.sha256]),
    "path": _among(lambda entry: [str(entry.path)]),
}
"""The search keys, each with what makes a condition of its value."""
