import json

import numpy as np
import pytest

from pochade import files

NAME = "encoder.conv_in.weight"


@pytest.fixture
def two(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate("ab"):
        files.save(tmp_path / f"{name}.safetensors", {NAME: np.full(4, number, np.float32)})
    return tmp_path


def value(path):
    return float(files.open(path)[NAME][0])


def test_an_expression(run, two):
    done = run("merge", "0.75*a.safetensors + 0.25*b.safetensors", "-o", "x.safetensors")
    assert (done.exit_code, done.stdout.strip()) == (0, "x.safetensors")
    assert value("x.safetensors") == 0.25


def test_a_method_with_its_models(run, two):
    options = ("--method", "weighted-sum", "--models", "a", "b", "--alpha", "0.5", "-o", "x.safetensors", "--json")
    assert json.loads(run("merge", *options).stdout) == {"path": "x.safetensors"}
    assert value("x.safetensors") == 0.5


def test_a_merge_is_repeated(run, two):
    assert run("merge", "a /4 + 3*b /4", "-o", "x.safetensors").exit_code == 0
    assert run("merge", "--recipe-of", "x.safetensors", "-o", "y.safetensors").exit_code == 0
    assert value("y.safetensors") == 0.75


def test_a_method_of_many_models_with_its_settings(run, two):
    for number, name in enumerate("cd", 2):
        files.save(two / f"{name}.safetensors", {NAME: np.array([number, 0.1, -number, 0], np.float32)})
    options = ("--method", "ties", "--models", "a", "c", "d", "--density", "0.3", "-o", "x.safetensors")
    assert run("merge", *options).exit_code == 0
    np.testing.assert_allclose(files.open("x.safetensors")[NAME], [2.5, 0, -2.5, 0])
    assert run("merge", "--recipe-of", "x.safetensors", "--density", "1", "-o", "y.safetensors").exit_code == 0
    np.testing.assert_allclose(files.open("y.safetensors")[NAME], [2.5, 0.1, -2.5, 0])


def test_settings_that_a_merge_does_not_take_are_told(run, two):
    done = run("merge", "--method", "slerp", "a", "b", "--seed", "1", "-o", "x.safetensors")
    assert (done.exit_code, done.stderr.strip()) == (2, "Error: slerp takes no seed; it takes alpha.")
    done = run("merge", "a + b", "--alpha", "0.5", "-o", "x.safetensors")
    assert done.exit_code == 2
    assert "A sum of models takes no alpha" in done.stderr
    assert not (two / "x.safetensors").exists()


def test_wrong_usage_is_2(run, two):
    assert run("merge", "-o", "x.safetensors").exit_code == 2
    assert run("merge", "a + 1", "-o", "x.safetensors").exit_code == 2
    assert "part and a weight" in run("merge", "--method", "sigmoid", "a", "b", "--part", "vae", "-o", "x").stderr
    assert not (two / "x.safetensors").exists()
