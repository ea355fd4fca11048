"""One model of the library: what its header tells, what lies beside it, and what follows from both."""

import json
import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

SAFE = "safe"
BROKEN = "corrupt"

_UNUSABLE = {"truncated", "unreadable", "missing", "duplicate-offsets", "incomplete"}
_TAG = re.compile(r"<[^<>]*>")
_MOST_READ, _MOST_KEPT = 20_000, 2_000  # letters of a description


@dataclass(frozen=True)
class Facts:
    """What the header of a file tells. `verdict` is that of a scan; `problems` are the codes of `pochade inspect`."""

    kind: str = "unknown"
    format: str | None = None
    family: str | None = None
    variant: str | None = None
    prediction: str | None = None
    algorithm: str | None = None
    rank: int | None = None
    dtypes: tuple[str, ...] = ()
    tensors: int = 0
    parameters: int = 0
    problems: tuple[str, ...] = ()
    verdict: str = SAFE
    title: str = ""
    description: str = ""
    base: str = ""
    tags: tuple[str, ...] = ()
    trigger_words: tuple[str, ...] = ()
    says_words: bool = False
    """Whether the trigger words are stated; otherwise they are what its captions have in common."""
    is_model: bool = True
    """Not so for a picture that could have carried an embedding."""


@dataclass(frozen=True)
class Notes:
    """What people and programs have put beside a file. `weight` is the one that is recommended for a LoRA."""

    title: str = ""
    description: str = ""
    base: str = ""
    tags: tuple[str, ...] = ()
    trigger_words: tuple[str, ...] = ()
    negative: str = ""
    weight: float | None = None
    preview: str = ""
    problems: tuple[str, ...] = ()

    def then(self, other: "Notes") -> "Notes":
        """These, with what they do not say taken from others; problems add up, each once."""
        missing = {name: value for name, value in vars(other).items() if not getattr(self, name)}
        return replace(self, **missing | {"problems": tuple(dict.fromkeys(self.problems + other.problems))})


@dataclass(frozen=True)
class Entry:
    """A model: its `path` in one of the user's folders, its `name` with sub-folders, and the `file` it leads to."""

    path: Path
    root: Path
    name: str
    file: Path
    bytes: int
    facts: Facts
    notes: Notes
    sha256: str | None = None

    @property
    def title(self) -> str:
        """What its maker calls it; empty where nobody says."""
        return self.facts.title or self.notes.title

    @property
    def stem(self) -> str:
        """Its name without sub-folders, as prompts have it."""
        return self.name.rpartition("/")[2]

    @property
    def description(self) -> str:
        """What is said of it."""
        return self.facts.description or self.notes.description

    @property
    def base(self) -> str:
        """What it is made for: the family that its tensors tell, else what is said."""
        return self.facts.family or self.stated_base

    @property
    def stated_base(self) -> str:
        """What is said of what it is made for, e.g. `Pony`."""
        return self.notes.base or self.facts.base

    @property
    def trigger_words(self) -> tuple[str, ...]:
        """The words that are stated in the file, else beside it, else those that its captions have in common."""
        stated = self.facts.trigger_words if self.facts.says_words else ()
        return stated or self.notes.trigger_words or self.facts.trigger_words

    @property
    def tags(self) -> tuple[str, ...]:
        """What it is filed under."""
        return self.facts.tags or self.notes.tags

    @property
    def problems(self) -> tuple[str, ...]:
        """Codes of what is wrong with it, and with what lies beside it."""
        return self.facts.problems + self.notes.problems

    @property
    def is_unsafe(self) -> bool:
        """Whether a scan found something that acts or pretends."""
        return self.facts.verdict not in (SAFE, BROKEN)

    @property
    def is_broken(self) -> bool:
        """Whether it cannot be used."""
        return self.facts.verdict == BROKEN or not _UNUSABLE.isdisjoint(self.facts.problems)

    def as_dict(self) -> dict[str, Any]:
        """The entry as plain values."""
        facts = asdict(self.facts)
        del facts["says_words"], facts["is_model"]
        return {
            "path": str(self.path),
            "root": str(self.root),
            "name": self.name,
            **facts,
            "bytes": self.bytes,
            "base": self.base,
            "stated_base": self.stated_base,
            "title": self.title,
            "description": self.description,
            "tags": list(self.tags),
            "trigger_words": list(self.trigger_words),
            "negative": self.notes.negative,
            "weight": self.notes.weight,
            "preview": self.notes.preview or None,
            "problems": list(self.problems),
            "sha256": self.sha256,
        }


_Record = TypeVar("_Record", Facts, Notes)


def packed(record: Facts | Notes) -> str:
    """A record as JSON, without what is not said."""
    return json.dumps({name: value for name, value in vars(record).items() if value != getattr(type(record), name)})


def unpacked(kind: type[_Record], text: str) -> _Record:
    """The record that packed() gave the text of; what only another version of Pochade says is left out."""
    table = {name: value for name, value in json.loads(text).items() if name in kind.__dataclass_fields__}
    said: dict[str, Any] = {name: tuple(each) if isinstance(each, list) else each for name, each in table.items()}
    return kind(**said)


def plain(text: str) -> str:
    """The beginning of a text in one line, without the tags of a web page."""
    import html  # deferred: few texts are new

    return " ".join(html.unescape(_TAG.sub(" ", text[:_MOST_READ])).split())[:_MOST_KEPT]
