"""Watch the user's folders: what comes, changes or goes is told as it happens, without any help of the system."""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from pochade.events import Event, Made
from pochade.library.refreshing import Changes, Examine, refreshing

_PAUSE = 2.0
_SHARE = 20  # a look may take one part in so many of the time


def watching(
    roots: Sequence[Path], examine: Examine, wait: Callable[[float], object] = time.sleep, pause: float = _PAUSE
) -> Iterator[Event]:
    """Bring the index up to date again and again, without end; yields Made with Changes whenever there are some.

    A file that is being written is told of when nothing was added to it for the time of a pause. Between two looks it
    waits for `pause` seconds, longer where a look takes long.
    """
    while True:
        started = time.monotonic()
        for event in refreshing(roots, examine, settled=pause):
            if not isinstance(event, Made) or event.result != Changes():
                yield event
        wait(max(pause, _SHARE * (time.monotonic() - started)))
