"""Where the queue and what belongs to it lies: in the user's data folder, or where POCHADE_DATA says."""

import os
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_data_path

from pochade.jobs.locks import FileLock


def data_folder() -> Path:
    """The folder for what must last between runs."""
    named = os.environ.get("POCHADE_DATA")
    return Path(named).expanduser() if named else user_data_path("pochade", appauthor=False)


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
