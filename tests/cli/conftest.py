import sys

import pytest
from typer.testing import CliRunner

from pochade.cli import app

from . import pretend


@pytest.fixture
def pipeline(monkeypatch):
    """The pretended pipeline; what a test sets on it is undone."""
    monkeypatch.setitem(sys.modules, "pochade.generation.pipeline", None)
    pretend.install()
    for name in ("loaded", "pause", "failure", "warning"):
        monkeypatch.setattr(pretend.Pipeline, name, getattr(pretend.Pipeline, name))
    return pretend.Pipeline


@pytest.fixture
def run(tmp_path, monkeypatch, pipeline):
    """Run a command line in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("POCHADE_MODELS", raising=False)
    monkeypatch.delenv("POCHADE_TRACEBACK", raising=False)
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])
