"""What the README shows works: its commands parse, its Python runs, its links lead somewhere."""

import re
import shlex
from itertools import chain
from pathlib import Path

import pytest
import typer

import pochade
from pochade.cli import COMMANDS, app
from pochade.library.shipped import shipped_model

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "benchmarks" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
LINK = re.compile(r'\]\(([^)#]+)\)|<img src="([^"]+)"')


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def start():
    return blocks(README.partition("\n## Start\n")[2].partition("\n## ")[0], "sh")


def pochade_commands():
    """Every command line of Pochade that the README shows, also those behind an &&."""
    lines = chain.from_iterable(block.splitlines() for block in blocks(README, "sh"))
    inline = re.findall(r"`(pochade [^`]+)`", README)
    parts = chain.from_iterable(line.split("&&") for line in [*lines, *inline])
    return [part.strip() for part in parts if part.strip().startswith("pochade ")]


def parse(command, words):
    """Read a command line as it would be run, without running it; raises what the user would be told."""
    if hasattr(command, "get_command"):
        with command.make_context("pochade", words[:1], resilient_parsing=True) as context:
            inner = command.get_command(context, words[0])
        assert inner is not None, f"there is no command {words[0]}"
        return parse(inner, words[1:])
    if "--help" in words:
        return None
    return command.make_context("pochade", words).params


def test_start_is_two_lines_picture_and_tests():
    first, second = start()
    assert first.count("\n") == second.count("\n") == 1
    assert first.startswith("pip install -c constraints.txt . && pochade txt2img ")
    assert second.startswith('pip install -c constraints.txt -e ".[dev]" && ')
    assert "pytest" in second


def test_the_readme_shows_every_command():
    assert {line.split()[1] for line in pochade_commands()} == set(COMMANDS)


@pytest.mark.parametrize("line", pochade_commands())
def test_command_lines_parse(line):
    parse(typer.main.get_command(app), shlex.split(line, comments=True)[1:])


def test_the_python_runs(tmp_path, monkeypatch):
    (code,) = blocks(README, "python")
    (tmp_path / "model.safetensors").symlink_to(shipped_model())
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {})
    assert (tmp_path / "fish.png").stat().st_size > 0
    assert pochade.inspect(tmp_path / "half.safetensors")["family"] == "sd1"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    targets = [first or second for first, second in LINK.findall(page.read_text(encoding="utf-8"))]
    missing = [each for each in targets if "://" not in each and not (page.parent / each).exists()]
    assert not missing


def test_the_changelog_knows_this_version():
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## \[{re.escape(pochade.__version__)}\]", changelog, re.MULTILINE)
