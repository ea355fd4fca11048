import os
import time

from pochade.events import Made
from pochade.library.entries import Facts
from pochade.library.refreshing import Changes
from pochade.library.watching import watching

from .test_find import folder_of


def examine(paths):
    yield from (Facts(kind="lora") for _ in paths)


def aged(path):
    old = time.time() - 60
    os.utime(path, (old, old))


def test_changes_are_told_as_they_come(home, tmp_path):
    root = folder_of(tmp_path / "own", "a.safetensors")
    aged(root / "a.safetensors")
    waits = []

    def wait(seconds):
        """What the user does meanwhile."""
        waits.append(seconds)
        if len(waits) == 2:
            folder_of(root, "b.safetensors")
        if len(waits) == 3:
            aged(root / "b.safetensors")
        if len(waits) == 5:
            (root / "a.safetensors").unlink()

    made = (event.result for event in watching([root], examine, wait) if isinstance(event, Made))
    assert next(made) == Changes(added=(root / "a.safetensors",))
    assert next(made) == Changes(added=(root / "b.safetensors",))
    assert len(waits) == 3  # it was being written before
    assert next(made) == Changes(removed=(root / "a.safetensors",))
    assert min(waits) >= 2
