"""`pochade train native`: a recipe becomes a model, wrong input one sentence."""

import json

import pytest

from pochade import files
from tests.training.test_scratch import RECIPE


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE)
    return path


def test_it_trains_and_prints_the_model(run, recipe, tmp_path):
    done = run("train", "native", "--config", recipe, "-o", tmp_path / "run", "--json")
    assert done.exit_code == 0
    assert "unet-1 3/3" in done.stderr
    assert "unet-2 2/2" in done.stderr
    model = json.loads(done.stdout)["model"]
    assert files.open(model).metadata["modelspec.title"] == "Miniature"


def test_the_same_command_finds_a_finished_run_finished(run, recipe, tmp_path):
    first = run("train", "native", "--config", recipe, "-o", tmp_path / "run")
    again = run("train", "native", "--config", recipe, "-o", tmp_path / "run", "--resume")
    assert again.stdout == first.stdout
    assert "unet" not in again.stderr


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--config", "none.toml", "-o", "run"], 3),
        (["-o", "run"], 2),
    ],
)
def test_wrong_input_is_one_sentence(run, words, code):
    done = run("train", "native", *words)
    assert done.exit_code == code
    assert "Traceback" not in done.stderr


def test_there_is_nothing_to_resume(run, recipe, tmp_path):
    done = run("train", "native", "--config", recipe, "-o", tmp_path / "nothing", "--resume")
    assert done.exit_code == 2
    assert "no run to resume" in done.stderr
