"""The one error tree. A message says what was found, what was expected and what to do.

PochadeError                    exit code
├── UsageError                  2  the request itself is wrong
│   └── UnknownNameError        2  a name nobody knows; the nearest known ones are offered
├── FileError                   3  a file cannot be used; carries its path
│   ├── MissingFileError        3  there is no such file
│   ├── MalformedFileError      3  the bytes break the format
│   └── UnsafeFileError         3  reading it would need to run code
├── NumericalError              3  a model gave NaN or infinity
├── StoppedError                4  the user stopped the work
└── ResourceError               5  memory or disk ran out
"""

import errno
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from unicodedata import category


def shown(text: str) -> str:
    r"""Return a text as people get to see it: what would steer their terminal, or is no character, is escaped.

    Names of tensors and files come from anywhere.

    >>> print(shown("a\x1b[31m"))
    a\x1b[31m
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() or category(each) == "Zs" else ascii(each)[1:-1] for each in text)


_OUT_OF_MEMORY = ("out of memory", "not enough memory", "can't allocate memory")  # how torch says it


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error says that memory ran out; torch says so in a RuntimeError."""
    if isinstance(error, RuntimeError):
        return any(words in str(error).lower() for words in _OUT_OF_MEMORY)
    return isinstance(error, MemoryError)


class PochadeError(Exception):
    """Anything that Pochade can explain; `exit_code` is what the command line returns."""

    exit_code = 3


class UsageError(PochadeError):
    """An option, a size or a combination that cannot work."""

    exit_code = 2


class UnknownNameError(UsageError):
    """A name outside the known ones, e.g. a sampler."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = list(known)
        folded = {each.casefold(): each for each in names}
        near = [folded[each] for each in get_close_matches(name.casefold(), list(folded), n=3, cutoff=0.4)]
        others = f"known are: {', '.join(names)}." if names else "none is known."
        hint = f"did you mean {' or '.join(near)}?" if near else others
        super().__init__(f"There is no {kind} named {name!r}; {hint}")
        self.nearest = near


class FileError(PochadeError):
    """A file that cannot be used. `path` is the file; the message begins with it."""

    def __init__(self, path: Path | str, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = Path(path)


class MissingFileError(FileError):
    """There is no such file or folder."""


class MalformedFileError(FileError):
    """The bytes break the rules of the file's format."""


class UnsafeFileError(FileError):
    """A file holds what could act when it is loaded; nothing of it was run.

    `what` is the name or member found, `where` the place inside the file, each empty where the message says all.
    """

    def __init__(self, path: Path | str, problem: str, what: str = "", where: str = "") -> None:
        super().__init__(path, f"{problem}; nothing was run")
        self.problem = problem
        self.what = what
        self.where = where


class NumericalError(PochadeError):
    """A network returned NaN or infinity."""


class StoppedError(PochadeError):
    """The user stopped the work."""

    exit_code = 4


class ResourceError(PochadeError):
    """Memory or disk ran out."""

    exit_code = 5


_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.ENOMEM}


@dataclass(frozen=True)
class Failure:
    """What the user reads, and what the shell gets."""

    sentence: str
    code: int


STOPPED = Failure("Stopped. What was saved before is complete.", StoppedError.exit_code)


def failure_of(error: BaseException) -> Failure | None:
    """How to tell an error; None if it is a mistake in Pochade, which keeps its traceback."""
    if isinstance(error, PochadeError):
        return Failure(str(error), error.exit_code)
    if isinstance(error, KeyboardInterrupt):
        return STOPPED
    if isinstance(error, OSError):
        return _failure_of_system(error)
    if is_out_of_memory(error):
        return Failure(
            "Memory ran out; try a smaller --size or --batch, or close other programs.", ResourceError.exit_code
        )
    return None


def _failure_of_system(error: OSError) -> Failure | None:
    if error.errno == errno.EPIPE:
        return None
    where = f"{error.filename}: " if error.filename else ""
    sentence = f"{where}{error.strerror or error}."
    return Failure(sentence, ResourceError.exit_code if error.errno in _NO_ROOM else FileError.exit_code)
