"""Look at what has come before it gets its name: what is it, and is it safe to load?"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from pochade import kinds
from pochade.errors import FileError
from pochade.files.plain import MODELS
from pochade.files.scan import Answer, scan

_WORST_FIRST: tuple[Answer, ...] = ("malicious", "corrupt", "suspicious", "safe")
_ENDINGS = {"safetensors": ".safetensors", "ckpt": ".ckpt", "ckpt-legacy": ".ckpt"}


@dataclass(frozen=True)
class Judgement:
    """What a download is, what it is to be called, the worst that the scan says of it, and why."""

    name: str
    kind: str
    verdict: Answer
    why: str = ""


def judge(path: Path, name: str) -> Judgement:
    """Tell what a file or folder is that is to be called `name`; a model without an ending gets one."""
    with _under(path, name) as seen:
        kind, format = _nature(seen)
        named = name + _ENDINGS.get(format, "") if path.is_file() and Path(name).suffix.lower() not in MODELS else name
    with _under(path, named) as seen:
        verdicts = list(scan(seen))
    worst = min(verdicts, key=lambda each: _WORST_FIRST.index(each.verdict))
    reasons = [f"{worst.path.name if path.is_dir() else ''} {each.where} {each.why}" for each in worst.findings]
    return Judgement(named, kind, worst.verdict, "; ".join(" ".join(reason.split()) for reason in reasons))


def kind_of(path: Path) -> str:
    """What kind of model a file is, `unknown` if nothing tells."""
    return _nature(path)[0]


def _nature(path: Path) -> tuple[str, str]:
    """Kind and container of a model, as far as it can be opened."""
    try:
        weights = kinds.open_model(path)
    except FileError:
        return "unknown", ""
    return kinds.recognise(weights.shapes()), weights.format


@contextmanager
def _under(path: Path, name: str) -> Iterator[Path]:
    """A part as if it had its name already: the scan is stricter with names that promise something.

    That is a link outside the folders of models, where nobody looks for one, even if nobody is left to remove it.
    """
    with TemporaryDirectory() as room:
        seen = Path(room, name)
        try:
            seen.symlink_to(path.resolve())
        except (OSError, NotImplementedError):
            pass  # systems, disks and users without links
        else:
            yield seen
            return
    with TemporaryDirectory(dir=path.parent, prefix=".") as room:
        seen = Path(room, name)
        os.replace(path, seen)
        try:
            yield seen
        finally:
            os.replace(seen, path)
