"""Templates read into trees: `{a|b}` is a choice, `__name__` a wildcard, `${name=a}` and `${name}` are variables.

Everything else is text. So is a mark behind a backslash, which stays: A1111's own rules take it away.
"""

import math
import re
from dataclasses import dataclass, field
from typing import TypeAlias

from pochade.errors import UsageError

_DEEPEST = 50  # braces inside of one another
_SHOWN = 30  # letters that a message quotes

_NAME = r"[^\W\d][\w-]*"
NUMBER = r"\d{1,9}(?:\.\d{0,9})?|\.\d{1,9}"
_TOKEN = re.compile(
    rf"""
    (?P<escape>\\(?:\$\{{|.))
    |(?P<choice>\{{\s*
        (?:(?:(?P<number>\d{{1,4}})|(?P<least>\d{{0,4}})-(?P<most>\d{{0,4}}))\$\$(?:(?P<joint>[^${{}}]*)\$\$)?\s*)?
        (?:(?P<first_weight>{NUMBER})\s*::\s*)?)
    |(?P<bar>\|\s*(?:(?P<weight>{NUMBER})\s*::\s*)?)
    |(?P<setting>\$\{{\s*(?P<set>{_NAME})\s*(?P<unset>\?)?=\s*(?:(?P<once>!)\s*)?)
    |(?P<variable>\$\{{\s*(?P<known>{_NAME})\s*\}})
    |(?P<default>\$\{{\s*(?P<asked>{_NAME})\s*:)
    |(?P<close>\}})
    |(?P<bracket>[\[\]])
    |(?P<wildcard>__(?![\ _])(?P<name>(?:_?(?:[^\W_]|[-./*?\[\]\ ]))+)(?<!\ )(?:\((?P<given>[^()\n]*)\))?__)
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True)
class Option:
    """What may be chosen, and how often beside the others."""

    template: "Template"
    weight: float = 1.0


@dataclass(frozen=True)
class Choice:
    """From `least` to `most` of the options, with `joint` between them."""

    options: tuple[Option, ...]
    least: int = 1
    most: float = 1
    joint: str = ", "


@dataclass(frozen=True)
class Setting:
    """A variable gets a value: chosen anew at each use, or `at_once`; perhaps only `if_unset`."""

    name: str
    value: "Template"
    at_once: bool = False
    if_unset: bool = False


@dataclass(frozen=True)
class Variable:
    """The value of a variable, or the default where it has none."""

    name: str
    default: "Template | None" = None


@dataclass(frozen=True)
class Wildcard:
    """One of the values of that name, in which some variables have values `given` for it alone."""

    name: str
    given: tuple[Setting, ...] = ()


Node: TypeAlias = str | Choice | Setting | Variable | Wildcard
Template: TypeAlias = tuple[Node, ...]


def read(text: str) -> Template:
    """The tree of a template. Raises UsageError for a brace that is never closed.

    >>> read("a {red|blue} cat")[0]
    'a '
    """
    reader = _Reader(text)
    for token in _TOKEN.finditer(text):
        reader.take(token)
    return reader.finished()


@dataclass
class _Open:
    """A brace that is not closed yet, and what was read behind it; without one it is the text itself."""

    token: re.Match[str] | None = None
    weight: float = 1.0
    brackets: int = 0
    nodes: list[Node] = field(default_factory=list)
    options: list[Option] = field(default_factory=list)

    @property
    def kind(self) -> str | None:
        return self.token.lastgroup if self.token else None

    def has_for_text(self, token: re.Match[str]) -> bool:
        """Whether a mark means nothing here. A bar in square brackets alternates words, which is no choice."""
        if token.lastgroup == "bracket":
            self.brackets = max(self.brackets + (1 if token[0] == "[" else -1), 0)
        if token.lastgroup == "bar":
            return self.kind != "choice" or self.brackets > 0
        return token.lastgroup in ("escape", "bracket") or (token.lastgroup == "close" and self.token is None)

    def end_option(self) -> None:
        self.options.append(Option(tuple(self.nodes), self.weight))
        self.nodes = []


class _Reader:
    """What was read so far: up to the letter `at`, with the braces that are open."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.open = [_Open()]

    def take(self, token: re.Match[str]) -> None:
        """Read the text up to a mark, and the mark."""
        innermost = self.open[-1]
        if innermost.has_for_text(token):
            return
        self._read_to(token.start(), token.end())
        match token.lastgroup:
            case "bar":
                innermost.end_option()
                innermost.weight = _weight(token["weight"])
            case "close":
                self.open.pop()
                self.open[-1].nodes.append(_closed(innermost))
            case "variable":
                innermost.nodes.append(Variable(token["known"]))
            case "wildcard":
                innermost.nodes.append(Wildcard(token["name"], _given(token)))
            case _:
                self._begin(token)

    def _begin(self, token: re.Match[str]) -> None:
        if len(self.open) > _DEEPEST:
            raise UsageError(f"More than {_DEEPEST} braces lie inside one another in the prompt; take some out.")
        self.open.append(_Open(token, _weight(token["first_weight"])))

    def _read_to(self, end: int, next_start: int) -> None:
        if self.at < end:
            self.open[-1].nodes.append(self.text[self.at : end])
        self.at = next_start

    def finished(self) -> Template:
        """The whole tree."""
        innermost = self.open[-1]
        if innermost.token:
            start = innermost.token.start()
            quoted = self.text[start : start + _SHOWN]
            raise UsageError(
                f"A brace is opened and never closed at {quoted!r}; close it, or write \\{{ for a plain one."
            )
        self._read_to(len(self.text), len(self.text))
        return tuple(innermost.nodes)


def _weight(written: str | None) -> float:
    return 1.0 if written is None else float(written)


def _closed(brace: _Open) -> Node:
    """What a brace that is closed now means."""
    assert brace.token is not None
    if brace.kind == "setting":
        token = brace.token
        return Setting(token["set"], tuple(brace.nodes), bool(token["once"]), bool(token["unset"]))
    if brace.kind == "default":
        return Variable(brace.token["asked"], tuple(brace.nodes))
    brace.end_option()
    options = tuple(option for option in brace.options if option.weight)
    if not options:
        raise UsageError(
            f"All that {brace.token[0][:_SHOWN]!r} begins to choose from weighs 0; give an option a larger weight."
        )
    return Choice(options, *_amount(brace.token))


def _amount(token: re.Match[str]) -> tuple[int, float, str]:
    """How many options are taken, at least and at most, and what stands between them."""
    joint = token["joint"] if token["joint"] is not None else Choice.joint
    if token["number"]:
        return int(token["number"]), int(token["number"]), joint
    if token["most"] is None:
        return 1, 1, joint
    least, most = int(token["least"] or 1), float(token["most"] or math.inf)
    return int(min(least, most)), max(least, most), joint


def _given(token: re.Match[str]) -> tuple[Setting, ...]:
    """The variables of `__name(variable=value, variable=value)__`."""
    pairs = [pair.partition("=") for pair in (token["given"] or "").split(",") if pair.strip()]
    for name, equals, _ in pairs:
        if not equals or not re.fullmatch(_NAME, name.strip()):
            raise UsageError(
                f"{token[0][:_SHOWN]!r} gives {name.strip()[:_SHOWN]!r}; write what it gives as variable=value."
            )
    return tuple(Setting(name.strip(), read(value.strip()), at_once=True) for name, _, value in pairs)
