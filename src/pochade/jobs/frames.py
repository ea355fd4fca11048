"""The latest unfinished picture of a job: a small file that is replaced with each frame, made only while one looks."""

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image

_LOOKING = 5.0  # seconds for which one who asked counts as looking
_QUALITY = 90


@dataclass(frozen=True)
class Frames:
    """A folder with the latest frame of each running job."""

    folder: Path

    def latest(self, job: int) -> bytes | None:
        """The latest frame as JPEG; None until there is one. To ask for it makes the worker draw more of them."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._wanted(job).touch()
        with suppress(FileNotFoundError):
            return self._file(job).read_bytes()
        return None

    def is_wanted(self, job: int) -> bool:
        """Whether somebody has asked for frames just now."""
        try:
            age = time.time() - self._wanted(job).stat().st_mtime
        except FileNotFoundError:
            return False
        return abs(age) < _LOOKING

    def show(self, job: int, image: Image.Image) -> None:
        """Put a frame in the place of the one before."""
        data = BytesIO()
        image.save(data, "JPEG", quality=_QUALITY)
        fresh = self.folder / f".{job}.part"
        fresh.write_bytes(data.getvalue())
        os.replace(fresh, self._file(job))

    def forget(self, job: int) -> None:
        """Remove what is left of a job that has ended."""
        for path in (self._file(job), self._wanted(job)):
            path.unlink(missing_ok=True)

    def _file(self, job: int) -> Path:
        return self.folder / f"{job}.jpg"

    def _wanted(self, job: int) -> Path:
        return self.folder / f"{job}.wanted"
