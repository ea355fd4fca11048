"""The evaluation: right pictures count as right, wrong ones as wrong, and the sheet shows which is which."""

import json
from types import SimpleNamespace

import pytest

from pochade.evaluation.picturebook import GOALS, Table, evaluate
from pochade.events import Made, Step
from pochade.picturebook.evaluation import evaluation_prompts
from pochade.picturebook.paint import paint


class Painter:
    """Stands in for a pipeline: paints the scene of each prompt, or always the same one."""

    def __init__(self, stubborn: bool = False) -> None:
        self.scenes = dict(evaluation_prompts(40))
        self.stubborn = stubborn
        self.requests = []

    def run(self, request):
        self.requests.append(request)
        scene = next(iter(self.scenes.values())) if self.stubborn else self.scenes[request.prompt]
        yield Step(1, 1)
        yield Made(SimpleNamespace(image=paint(scene)))


def table(painter, count=40) -> Table:
    return next(event.result for event in evaluate(painter, count) if isinstance(event, Made))


def test_the_painter_itself_reaches_every_goal():
    rates = table(Painter()).rates()
    assert all(rates[name] >= goal for name, goal in GOALS.items())
    assert rates["all"] >= 97


def test_a_painter_that_does_not_listen_fails():
    rates = table(Painter(stubborn=True)).rates()
    assert rates["all"] <= 5
    assert rates["object"] < 20


def test_every_prompt_has_its_own_fixed_seed():
    painter = Painter()
    list(evaluate(painter, 5, steps=7, cfg=3.0, seed=100))
    assert [request.seed for request in painter.requests] == [100, 101, 102, 103, 104]
    assert {(request.steps, request.cfg) for request in painter.requests} == {(7, 3.0)}


def test_progress_counts_prompts():
    steps = [event for event in evaluate(Painter(), 3) if isinstance(event, Step)]
    assert [(step.done, step.total) for step in steps] == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize(("stubborn", "framed"), [(False, False), (True, True)])
def test_the_sheet_frames_what_missed(stubborn, framed):
    sheet = table(Painter(stubborn), 12).sheet(columns=4)
    assert sheet.size == (4 * 132, 3 * 132)
    corner = sheet.getpixel((132 * 3, 132 * 2))
    assert (corner == (255, 0, 0)) is framed


def test_a_sheet_of_no_known_format_is_refused_before_the_work(monkeypatch):
    from typer.testing import CliRunner

    from pochade.cli import app

    monkeypatch.setattr("pochade.generation.drawer.pipeline_for", lambda *arguments: pytest.fail("it was loaded"))
    done = CliRunner().invoke(app, ["evaluate", "picturebook", "--sheet", "sheet.pgn"])
    assert done.exit_code == 2
    assert "sheet.pgn: .pgn names no image format" in done.stderr


def test_the_sheet_is_saved(monkeypatch, tmp_path):
    from typer.testing import CliRunner

    from pochade.cli import app

    monkeypatch.setattr("pochade.generation.drawer.pipeline_for", lambda *arguments: Painter())
    done = CliRunner().invoke(
        app, ["evaluate", "picturebook", "--count", "4", "--sheet", str(tmp_path / "new" / "sheet.png"), "--json"]
    )
    assert done.exit_code == 0
    assert json.loads(done.stdout)["count"] == 4
    assert (tmp_path / "new" / "sheet.png").is_file()
