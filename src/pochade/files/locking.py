"""The lock on an open file that other processes see, and that the system takes away from a process that dies."""

import os
import sys

_FAR = 1 << 30  # Windows locks bytes, and nobody can read those


def lock(descriptor: int) -> None:
    """Lock an open file or folder for this process alone. Raises OSError where another one holds it."""
    if sys.platform == "win32":
        import msvcrt

        place = os.lseek(descriptor, 0, os.SEEK_CUR)
        os.lseek(descriptor, _FAR, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        finally:
            os.lseek(descriptor, place, os.SEEK_SET)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
