"""Choose among the files of one source: by what the user asks for, else only where there is no doubt."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from pochade.errors import UnknownNameError, UsageError
from pochade.library.downloads.packages import Order

_MARK = re.compile(r"[._-](fp32|fp16|bf16|fp8|pruned|full|non_ema)(?=[._-]|$)", re.IGNORECASE)
_SAFE = {".safetensors", ".sft"}
_MOST_LISTED = 20


@dataclass(frozen=True)
class Candidate:
    """A file that may be meant: what it is called, what is said of it, and whether its site would take it first."""

    name: str
    format: str = ""
    precision: str = ""
    extent: str = ""
    is_first: bool = False


def candidate_of(name: str) -> Candidate:
    """What the name of a file tells."""
    path = PurePosixPath(name)
    marks = [each.lower() for each in _MARK.findall(path.stem)]
    precision = next((each for each in marks if each.startswith(("fp", "bf"))), "")
    extent = next((each for each in marks if each in ("pruned", "full")), "")
    return Candidate(name, "safetensors" if path.suffix.lower() in _SAFE else "ckpt", precision, extent)


def choose(candidates: Sequence[Candidate], order: Order, shown: str) -> int:
    """The place of the file that is meant. Raises UsageError where none or several may be."""
    left = list(range(len(candidates)))
    if order.file:
        left = [place for place in left if order.file in _names(candidates[place])]
        if not left:
            raise UnknownNameError(f"file of {shown}", order.file, [each.name for each in candidates])
    for what in ("format", "precision", "extent"):
        wanted = getattr(order, what)
        fitting = [place for place in left if not wanted or getattr(candidates[place], what) == wanted]
        if left and not fitting:
            raise UsageError(f"{shown} has no file with {what} {wanted}; {_listed(candidates, left)}")
        left = fitting
    if not left:
        raise UsageError(f"{shown} has no model file; `pochade download --list` shows what there is.")
    best = min(left, key=lambda place: _rank(candidates[place]))
    if not candidates[best].is_first and len({_group(candidates[place]) for place in left}) > 1:
        raise UsageError(f"{shown} has several models; {_listed(candidates, left)}")
    return best


def _names(candidate: Candidate) -> tuple[str, str]:
    return candidate.name, PurePosixPath(candidate.name).name


def _rank(candidate: Candidate) -> tuple[bool, bool, bool, str]:
    """Safetensors before pickles, then what the site puts first, then what is whole."""
    is_half = bool(_MARK.search(PurePosixPath(candidate.name).stem))
    return candidate.format != "safetensors", not candidate.is_first, is_half, candidate.name


def _group(candidate: Candidate) -> str:
    """What the forms of one model have in common."""
    return _MARK.sub("", str(PurePosixPath(candidate.name).with_suffix("")))


def _listed(candidates: Sequence[Candidate], places: Sequence[int]) -> str:
    names = [candidates[place].name for place in places]
    more = f" and {len(names) - _MOST_LISTED} more" if len(names) > _MOST_LISTED else ""
    return f"there are {', '.join(names[:_MOST_LISTED])}{more}; choose one with --file."
