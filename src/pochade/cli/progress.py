"""Show the events of long work on stderr: a live bar on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from pochade.errors import shown
from pochade.events import Event, Made, Saved, Step, Warned

_LINE_EVERY = 2.0  # seconds between plain lines

Show = Callable[[Step], None]


def watch(events: Iterable[Event]) -> Iterator[Any]:
    """Run the work to its end, showing how it goes; yields what it made and the paths that it saved.

    What several requests have to say alike is said once.
    """
    told: set[str] = set()
    with _bar() if sys.stderr.isatty() else _lines() as show:
        for event in events:
            if isinstance(event, Step):
                show(event)
            elif isinstance(event, Warned):
                if event.message not in told:
                    print(f"Note: {shown(event.message)}", file=sys.stderr)
                told.add(event.message)
            elif isinstance(event, Made):
                yield event.result
            elif isinstance(event, Saved):
                yield event.path


@contextmanager
def _lines() -> Iterator[Show]:
    started = last = time.monotonic()
    told = ("", 0)

    def show(step: Step) -> None:
        nonlocal last, told
        now = time.monotonic()
        is_end = step.done >= step.total and (step.what, step.done) != told  # adaptive samplers stay there for a while
        if is_end or now - last >= _LINE_EVERY:
            last, told = now, (step.what, step.done)
            print(f"{step.what} {step.done}/{step.total}{_loss(step)}, {now - started:.1f} s", file=sys.stderr)

    yield show


@contextmanager
def _bar() -> Iterator[Show]:
    from rich.console import Console  # deferred: a command without a bar starts faster
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn

    columns: list[ProgressColumn] = [
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    ]
    columns.append(TextColumn("{task.fields[rate]}"))
    # Results printed to a terminal pass above the bar; those printed to a pipe must stay in the pipe.
    redirect = sys.stdout.isatty()
    with Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=redirect) as bar:
        task = bar.add_task("", total=None, rate="")

        def show(step: Step) -> None:
            speed = bar.tasks[0].speed
            rate = f"{speed:.2f} it/s" if speed else ""
            if step.done < (bar.tasks[0].completed or 0):
                bar.reset(task)
            bar.update(task, completed=step.done, total=step.total, description=step.what, rate=rate + _loss(step))

        yield show


def _loss(step: Step) -> str:
    return "" if step.loss is None else f" loss {step.loss:.4f}"
