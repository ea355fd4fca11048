"""Start workers in processes of their own, which live on when the one that started them ends."""

import os
import subprocess
import sys
from collections.abc import Iterable
from threading import Thread

from pochade.jobs.queue import Queue

IDLE = 600.0
"""Seconds without a job after which a worker ends, and its model leaves the memory."""
_LONGEST_LOG = 1_000_000


def ensure_workers(queue: Queue, lanes: Iterable[str] | None = None, idle: float = IDLE) -> list[str]:
    """Start a worker for each lane in which a job waits, or for those named, unless it has one; returns those lanes.

    To be called when a job was added, and now and then as long as somebody waits for one.
    """
    queue.recover()
    wanted = queue.claims.lanes_waiting() if lanes is None else list(lanes)
    started = [lane for lane in wanted if not queue.places.lock(lane).is_held()]
    for lane in started:
        _start(queue, lane, idle)
    return started


def _start(queue: Queue, lane: str, idle: float) -> None:
    log = queue.places.log(lane)
    log.parent.mkdir(parents=True, exist_ok=True)
    too_long = log.exists() and log.stat().st_size > _LONGEST_LOG
    words = [sys.executable, "-P", "-m", "pochade.jobs", lane, "--idle", str(idle)]
    with log.open("wb" if too_long else "ab") as file:
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            cwd=queue.places.folder,
            env=os.environ | {"POCHADE_DATA": os.path.abspath(queue.places.folder)},
            start_new_session=sys.platform != "win32",
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
    Thread(target=process.wait, daemon=True).start()  # so that it leaves no trace among the processes when it ends
