"""Locks that other processes see, and that the system takes away from a process that dies."""

import os
import time
from pathlib import Path

from pochade.files.locking import lock

_PAUSE = 0.02  # seconds between two tries
_ASKING = 0.06  # seconds in which somebody else who only asks is gone


class FileLock:
    """A lock on a file that says who holds it. It ends with the process, however that ends."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def acquire(self, patience: float = 0.0) -> bool:
        """Take the lock, trying for so many seconds; tells whether that was possible."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        end = time.monotonic() + patience
        while not _locked(descriptor):
            if time.monotonic() >= end:
                os.close(descriptor)
                return False
            time.sleep(_PAUSE)
        self._descriptor = descriptor
        return True

    def sign(self) -> None:
        """Write down which process holds the lock."""
        assert self._descriptor is not None
        os.ftruncate(self._descriptor, 0)
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        os.write(self._descriptor, str(os.getpid()).encode())

    def release(self) -> None:
        """Give the lock back."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def is_held(self) -> bool:
        """Whether any process holds it."""
        other = FileLock(self.path)
        if other.acquire(_ASKING):
            other.release()
            return False
        return True

    def holder(self) -> int | None:
        """The number of the process that signed last."""
        try:
            return int(self.path.read_bytes())
        except (OSError, ValueError):
            return None


def _locked(descriptor: int) -> bool:
    """Try to lock an open file."""
    try:
        lock(descriptor)
    except OSError:
        return False
    return True
