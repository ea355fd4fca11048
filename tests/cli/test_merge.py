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


def test_loras_that_need_their_model(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    query = "model.diffusion_model.middle_block.1.transformer_blocks.0.attn1.to_q.weight"
    projection = {"model.diffusion_model.input_blocks.1.1.proj_in.weight": np.ones((4, 4, 1, 1), np.float32)}
    files.save("model.safetensors", {query: np.eye(4, dtype=np.float32)} | projection)
    module = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q"
    scales = {f"{module}.weight": np.ones(4, np.float32), f"{module}.on_input": np.array(False)}
    for name in "ab":
        files.save(f"{name}.safetensors", scales)
    done = run("merge", "a + b", "--rank", "4", "-o", "x.safetensors")
    assert (done.exit_code, "is of ia3" in done.stderr, "--base" in done.stderr) == (2, True, True)
    assert run("merge", "a + 2*b", "--rank", "4", "--base", "model", "-o", "x.safetensors").exit_code == 0
    assert run("merge", "--recipe-of", "x.safetensors", "-o", "y.safetensors").exit_code == 0
    (tmp_path / "recipe.toml").write_text('expression = "a + 2*b"\nrank = 4\nbase = "model"')
    assert run("merge", "recipe.toml", "-o", "z.safetensors").exit_code == 0
    for each in map(files.open, ("x.safetensors", "y.safetensors", "z.safetensors")):
        product = each[f"{module}.lora_up.weight"] @ each[f"{module}.lora_down.weight"]
        np.testing.assert_allclose(product, 3 * np.eye(4), atol=1e-5)
    done = run("merge", "model + model", "--base", "model", "-o", "v.safetensors")
    assert (done.exit_code, "Only LoRAs" in done.stderr) == (2, True)


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


def test_names_are_those_of_this_folder_and_of_one_file_only(run, two):
    (two / "below").mkdir()
    files.save(two / "below/c.safetensors", {NAME: np.ones(4, np.float32)})
    done = run("merge", "0.5*a + 0.5*c", "-o", "x.safetensors")
    assert (done.exit_code, "no checkpoint named 'c'" in done.stderr) == (2, True)
    assert run("merge", "0.5*a + 0.5*c.safetensors", "-o", "x.safetensors").exit_code == 3
    assert run("merge", "0.5*a + 0.5*c", "--models", ".", "-o", "x.safetensors").exit_code == 0
    files.save(two / "a.ckpt", {NAME: np.ones(4, np.float32)})
    done = run("merge", "0.5*a + 0.5*b", "-o", "y.safetensors")
    assert (done.exit_code, "'a' may be a.ckpt or a.safetensors" in done.stderr) == (2, True)
    (two / "beside").mkdir()
    files.save(two / "beside/c.safetensors", {NAME: np.ones(4, np.float32)})
    done = run("merge", "0.5*a.ckpt + 0.5*c", "--models", ".", "-o", "y.safetensors")
    assert (done.exit_code, "'c' may be" in done.stderr) == (2, True)


def test_a_recipe_and_a_repetition_exclude_each_other(run, two):
    assert run("merge", "0.5*a + 0.5*b", "-o", "x.safetensors").exit_code == 0
    done = run("merge", "0.1*a + 0.9*b", "--recipe-of", "x.safetensors", "-o", "y.safetensors")
    assert (done.exit_code, "not both" in done.stderr) == (2, True)
