"""Errors as the command line tells them: one sentence and an exit code."""

import errno
from dataclasses import dataclass

from pochade.errors import PochadeError, ResourceError, StoppedError, is_out_of_memory

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.ENOMEM}
_BAD_FILE = 3


@dataclass(frozen=True)
class Failure:
    """What the user reads, and what the shell gets."""

    sentence: str
    code: int


STOPPED = Failure("Stopped. What was saved before is complete.", StoppedError.exit_code)


def failure_of(error: BaseException) -> Failure | None:
    """How to tell an error; None if it is a mistake in Pochade, which keeps its traceback."""
    if isinstance(error, PochadeError):
        return Failure(f"Error: {error}", error.exit_code)
    if isinstance(error, KeyboardInterrupt):
        return STOPPED
    if isinstance(error, OSError):
        return _failure_of_system(error)
    if is_out_of_memory(error):
        return Failure(
            "Error: memory ran out; try a smaller --size or --batch, or close other programs.", ResourceError.exit_code
        )
    return None


def _failure_of_system(error: OSError) -> Failure | None:
    if error.errno == errno.EPIPE:
        return None
    where = f"{error.filename}: " if error.filename else ""
    sentence = f"Error: {where}{error.strerror or error}."
    return Failure(sentence, ResourceError.exit_code if error.errno in _NO_ROOM else _BAD_FILE)
