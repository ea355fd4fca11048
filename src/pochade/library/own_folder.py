"""Where Pochade keeps what must last between runs: in the user's data folder, or where POCHADE_DATA says."""

import os
from pathlib import Path

from platformdirs import user_data_path


def data_folder() -> Path:
    """The folder; it need not be there yet."""
    named = os.environ.get("POCHADE_DATA")
    return Path(named).expanduser() if named else user_data_path("pochade", appauthor=False)
