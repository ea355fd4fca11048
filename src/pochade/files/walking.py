"""Walk through folders as people see them: what a link leads to is there, too."""

import os
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path


def walked(
    root: Path, refused: Callable[[OSError], object] | None = None
) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Yield `root` and every folder below it, each once, with the sorted names of the folders and of the files in it.

    Where a folder can be reached in two ways, the one without links counts. A name that the caller takes out of the
    folders is not walked into; `refused` hears why a folder cannot be listed.
    """
    seen: set[str] = set()
    waiting = deque([root])
    while waiting:
        for name, inner, files in os.walk(waiting.popleft(), onerror=refused):
            folder, place = Path(name), os.path.realpath(name)
            if place in seen:
                inner.clear()
                continue
            seen.add(place)
            inner.sort()
            yield folder, inner, sorted(files)
            waiting.extend(folder / each for each in inner if os.path.islink(folder / each))
