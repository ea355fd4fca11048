import pytest

from pochade.library import adopted, database


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A place of its own for what is remembered, and for the adopted folders."""
    place = tmp_path / "home"
    monkeypatch.setattr(database, "location", lambda: place / "cache" / "library.sqlite")
    monkeypatch.setattr(adopted, "location", lambda: place / "settings" / "folders.json")
    return place
