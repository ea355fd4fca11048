"""Where the queue and what belongs to it lies."""

from dataclasses import dataclass
from pathlib import Path

from pochade.jobs.locks import FileLock


@dataclass(frozen=True)
class Places:
    """The files in the queue's folder."""

    folder: Path

    @property
    def database(self) -> Path:
        """All jobs."""
        return self.folder / "jobs.sqlite"

    @property
    def frames(self) -> Path:
        """Folder of the unfinished pictures of running jobs."""
        return self.folder / "frames"

    def lock(self, worker: str) -> FileLock:
        """What a worker holds as long as it lives."""
        return FileLock(self.folder / "workers" / f"{worker}.lock")

    def log(self, worker: str) -> Path:
        """What a worker has to say."""
        return self.folder / "workers" / f"{worker}.log"
