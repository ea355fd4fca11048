"""Prompt editing read into a tree: `[a:b:N]` changes at step N, `[a|b]` takes turns, everything else is text.

The reference reads prompts with an ambiguous grammar. Where that gives one answer, this reader gives the same in a
single pass; for stray brackets beside well-formed ones, where the reference may give several, it gives the one that
keeps the most editing.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True)
class Change:
    """`before` up to a step, `after` from then on; `when` is the number as it was written."""

    before: "Branch"
    after: "Branch"
    when: str


@dataclass(frozen=True)
class Turns:
    """One of the choices per step, in turn."""

    choices: tuple["Branch", ...]


Node: TypeAlias = str | Change | Turns
Branch: TypeAlias = tuple[Node, ...]

_TOKEN = re.compile(r"[\[\]():|]|(?:[^\\\[\]():|]|\\.)+|\\")
_NUMBER = re.compile(r"\s*([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)\s*")
_CLOSING = {"(": ")", "[": "]", "": ""}
_EMPHASIS = {("(", ""), ("(", ":"), ("[", "")}


@dataclass
class _Bracket:
    """A bracket not closed yet: where it stands among the nodes, and where the `:` and `|` directly inside stand."""

    opening: str
    place: int
    marks: str = ""
    mark_places: list[int] = field(default_factory=list)


class _StrayMarkError(Exception):
    """A `|` outside of brackets or a lone backslash: the whole prompt is plain text."""


class _Reader:
    """The nodes read so far, in one flat list, and the brackets that are open; the outermost one is the text itself."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.open = [_Bracket("", 0)]

    def take(self, token: str) -> None:
        """Read one more token."""
        if token == "\\":
            raise _StrayMarkError
        if token in "])":
            self._close(token)
            return
        if token in "([":
            self.open.append(_Bracket(token, len(self.nodes)))
        elif token in ":|":
            self.open[-1].marks += token
            self.open[-1].mark_places.append(len(self.nodes))
        self.nodes.append(token)

    def _close(self, token: str) -> None:
        bracket = self.open[-1]
        if token != _CLOSING[bracket.opening]:
            self.give_up_brackets()
            self.nodes.append(token)
        elif (bracket.opening, bracket.marks) in _EMPHASIS:
            self.open.pop()
            self.nodes.append(token)
        elif (node := self._edit(bracket)) is not None:
            self.open.pop()
            self.nodes[bracket.place :] = [node]
        else:
            self.give_up_brackets()
            self.nodes.append(token)

    def _edit(self, bracket: _Bracket) -> Node | None:
        """The meaning of a bracket that holds marks, if it has one."""
        if bracket.opening == "[" and set(bracket.marks) == {"|"}:
            return Turns(self._segments(bracket))
        if bracket.opening != "[" or bracket.marks not in (":", "::"):
            return None
        *texts, number = self._segments(bracket)
        written = number[0] if len(number) == 1 else None
        when = _NUMBER.fullmatch(written) if isinstance(written, str) else None
        return Change(texts[-2] if len(texts) > 1 else (), texts[-1], when[1]) if when else None

    def _segments(self, bracket: _Bracket) -> tuple[Branch, ...]:
        """What stands between the marks of a bracket."""
        starts = [bracket.place, *bracket.mark_places]
        ends = [*bracket.mark_places, len(self.nodes)]
        return tuple(tuple(self.nodes[start + 1 : end]) for start, end in zip(starts, ends, strict=True))

    def give_up_brackets(self) -> None:
        """Let all open brackets and their marks be text; a `|` cannot be."""
        if any("|" in bracket.marks for bracket in self.open):
            raise _StrayMarkError
        self.open = [_Bracket("", 0)]


def read(text: str) -> Branch:
    """The tree of a prompt; text that cannot be read is one plain node."""
    reader = _Reader()
    try:
        for token in _TOKEN.findall(text):
            reader.take(token)
        reader.give_up_brackets()
    except _StrayMarkError:
        return (text,)
    return tuple(reader.nodes)


def edits(tree: Branch) -> Iterable[Change | Turns]:
    """Every change and every alternation in the tree, also those that never come to be shown."""
    pending = list(tree)
    while pending:
        node = pending.pop()
        if isinstance(node, Change):
            yield node
            pending += [*node.before, *node.after]
        elif isinstance(node, Turns):
            yield node
            pending += [inner for choice in node.choices for inner in choice]
