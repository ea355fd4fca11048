"""The library as other programs use it."""

import shutil

import numpy as np
import pytest

from pochade import files
from pochade.errors import UsageError
from pochade.events import Made
from pochade.library import adopted, database
from pochade.operations.catalogue import Library


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setattr(database, "location", lambda: tmp_path / "home" / "library.sqlite")
    monkeypatch.setattr(adopted, "location", lambda: tmp_path / "home" / "folders.json")


@pytest.fixture
def models(tmp_path, home):
    folder = tmp_path / "models"
    folder.mkdir()
    for name in ("fox", "tiger"):
        files.save(folder / f"{name}.safetensors", {"emb_params": np.ones((len(name), 768), np.float32)})
    shutil.copy(folder / "fox.safetensors", folder / "copy of fox.safetensors")
    return folder


def test_a_library_is_searched_completed_and_hashed(models):
    library = Library.of([str(models)])
    assert len(library.refresh().added) == 3
    assert [each.name for each in library.search("kind:embedding fox -copy")] == ["fox"]
    assert [each.text for each in library.completer().completions("a fo")] == ["fox", "copy of fox"]
    hashed = [event for event in library.hashing(library.entries()) if isinstance(event, Made)]
    assert len(hashed) == 3 and all(each.sha256 for each in library.entries())
    (same,) = [event.result for event in library.duplicating(library.entries()) if isinstance(event, Made)]
    assert [each.name for each in same] == ["copy of fox", "fox"]


def test_adopted_folders_are_the_library(models, tmp_path):
    with pytest.raises(UsageError, match="no folder of models: name one"):
        Library.of()
    (tmp_path / "away").mkdir()
    for folder in (models, tmp_path / "away"):
        adopted.adopt(folder)
    (tmp_path / "away").rmdir()
    library = Library.of()
    assert (library.roots, library.absent) == ((models,), (tmp_path / "away",))


def test_a_folder_that_is_not_there_is_refused(home, tmp_path):
    with pytest.raises(UsageError, match="there is no such models folder"):
        Library.of([tmp_path / "none"])
