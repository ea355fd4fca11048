"""Prompt editing over the steps: which text holds until when, and which one a model call uses."""

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from pochade.prompts.grammar import Branch, Change, edits, read


@dataclass(frozen=True)
class _Timing:
    """How the numbers of a prompt become steps: what to subtract first, and the length of the run."""

    steps: int
    whole_offset: int = 0
    fraction_offset: float = 0.0
    old: bool = False

    def cut(self, written: str) -> int:
        """The last step that still shows the text before the change."""
        number = float(written)
        if self.old:
            step = number * self.steps if number < 1 else number
        elif "." in written:
            step = (number - self.fraction_offset) * self.steps
        else:
            step = number - self.whole_offset
        return min(self.steps, int(step)) if math.isfinite(step) else (self.steps if step > 0 else 0)


def _text_at(tree: Branch, step: int, timing: _Timing) -> str:
    parts: list[str] = []
    pending = list(reversed(tree))
    while pending:
        node = pending.pop()
        if isinstance(node, str):
            parts.append(node)
        elif isinstance(node, Change):
            pending += reversed(node.before if step <= timing.cut(node.when) else node.after)
        else:
            pending += reversed(node.choices[(step - 1) % len(node.choices)])
    return "".join(parts)


def _cuts(tree: Branch, timing: _Timing) -> list[int]:
    """The steps after which the text may change, and the last step."""
    cuts = {timing.steps}
    for node in edits(tree):
        if isinstance(node, Change):
            cuts.add(timing.cut(node.when))
        else:
            cuts.update(range(1, timing.steps + 1))
    return sorted(cut for cut in cuts if cut >= 1 or cut == timing.steps)


def schedule(text: str, steps: int, hires_steps: int | None = None, old: bool = False) -> list[tuple[int, str]]:
    """Pairs (last step, text) in order.

    With `hires_steps` it is the second pass: whole numbers go on counting after the first pass, fractions from 1.0.
    `old` is the rule before version 1.6: below 1 a fraction, otherwise a step, both of the first pass. For samplers
    that call the model twice per step, pass twice the steps.
    """
    timing = _Timing(steps, old=old) if hires_steps is None or old else _Timing(hires_steps, steps, 1.0)
    tree = read(text)
    return [(cut, _text_at(tree, cut, timing)) for cut in _cuts(tree, timing)]


def active(entries: Sequence[tuple[int, str]], call: int) -> str:
    """The text of a schedule at model call `call`, counted from 0.

    As in the reference a change comes one call late, and calls beyond the end of the schedule use its first text.
    """
    index = bisect_left(entries, call, key=lambda entry: entry[0])
    return entries[index if index < len(entries) else 0][1]
