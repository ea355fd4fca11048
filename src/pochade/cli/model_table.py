"""Models as lines for people: a table that fits the terminal, and the groups of those that are the same."""

import shutil
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pochade.errors import shown

if TYPE_CHECKING:
    from pochade.library.entries import Entry

_HEAD = ("NAME", "KIND", "BASE", "SIZE", "NOTES")
_GAP = "  "
_LEAST = 8  # columns for a name, or for notes
_OF_NAMES = 0.6  # of the columns that names and notes share
_SHORT_HASH = 10

Row = tuple[str, str, str, str, str]


def table(entries: "Sequence[Entry]", hashes: bool) -> list[str]:
    """A line for each model and one for all; cut to the width of the terminal, if that is where they go."""
    from rich.cells import cell_len  # deferred: the help needs no widths

    rows = [_HEAD, *(_row(each, hashes) for each in entries)]
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    if sys.stdout.isatty():
        room = shutil.get_terminal_size().columns - sum(widths[1:4]) - len(_GAP) * (len(_HEAD) - 1)
        widths[0] = min(widths[0], max(_LEAST, int(room * _OF_NAMES), room - widths[4]))
        widths[4] = max(_LEAST, room - widths[0])
    return [*(_line(row, widths) for row in rows), _sum(entries)]


def groups(found: "Sequence[Sequence[Entry]]") -> list[str]:
    """The models of each group with their paths, and how much room all but one of each take."""
    if not found:
        return ["No two models have the same weights."]
    lines = []
    for group in found:
        lines.append(shown(f"{group[0].facts.kind} {group[0].stem}"))
        lines += [shown(f"{bytes_in_words(each.bytes):>10}  {each.path}") for each in group]
    spare = sum(sum(sorted(each.bytes for each in group)[:-1]) for group in found)
    return [*lines, f"{_models(len(found))} more than once; {bytes_in_words(spare)} would be saved by one of each."]


def _row(entry: "Entry", hashes: bool) -> Row:
    short = f" [{entry.sha256[:_SHORT_HASH]}]" if hashes and entry.sha256 else ""
    name, base, notes = map(shown, (entry.name + short, entry.base, _notes(entry)))
    return name, entry.facts.kind, base, bytes_in_words(entry.bytes), notes


def _notes(entry: "Entry") -> str:
    """What is wrong with a model, then the words for it."""
    flags = [entry.facts.verdict.upper()] if entry.is_unsafe else ["BROKEN"] if entry.is_broken else []
    return "; ".join(filter(None, [" ".join([*flags, *entry.problems]), ", ".join(entry.trigger_words)]))


def _line(row: Row, widths: Sequence[int]) -> str:
    name, *middle, size, notes = row
    first = _filled(_cut(name, widths[0], keep_end=True), widths[0])
    others = [_filled(text, width) for text, width in zip(middle, widths[1:3], strict=True)]
    return _GAP.join([first, *others, _filled(size, widths[3], to_right=True), _cut(notes, widths[4])]).rstrip()


def _filled(text: str, width: int, to_right: bool = False) -> str:
    from rich.cells import cell_len

    spaces = " " * (width - cell_len(text))
    return spaces + text if to_right else text + spaces


def _cut(text: str, width: int, keep_end: bool = False) -> str:
    """A text without what does not fit: of a name, the folders go first."""
    from rich.cells import cell_len, set_cell_size

    if cell_len(text) <= width:
        return text
    return "…" + set_cell_size(text[::-1], width - 1)[::-1] if keep_end else set_cell_size(text, width - 1) + "…"


def _sum(entries: "Sequence[Entry]") -> str:
    counts = {"unsafe": sum(each.is_unsafe for each in entries), "broken": sum(each.is_broken for each in entries)}
    flagged = [f"{count} {what}" for what, count in counts.items() if count]
    return ", ".join([_models(len(entries)), *flagged, bytes_in_words(sum(each.bytes for each in entries))])


def _models(count: int) -> str:
    return "1 model" if count == 1 else f"{count} models"


def bytes_in_words(count: float) -> str:
    """A size as people read it."""
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{_three_digits(count)} {unit}"
        count /= 1000
    return f"{_three_digits(count)} GB"


def _three_digits(number: float) -> str:
    return f"{number:.3g}" if number < 100 else f"{number:.0f}"
