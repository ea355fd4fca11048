import json

import numpy as np
import pytest

from pochade import files
from pochade.cli.resize import Dynamic
from pochade.operations.resize import METHODS

MODULE = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q"


@pytest.fixture
def lora(tmp_path):
    values = np.diag([8, 4, 2, 1]).astype(np.float32)
    arrays = {f"{MODULE}.lora_down.weight": np.eye(4, dtype=np.float32), f"{MODULE}.lora_up.weight": values}
    return files.save(tmp_path / "lora.safetensors", arrays)


def rank(path):
    return files.open(path).info(f"{MODULE}.lora_down.weight").shape[0]


def test_a_rank(run, lora):
    done = run("resize", lora, "--rank", "2", "-o", "small.safetensors")
    assert (done.exit_code, done.stdout.strip()) == (0, "small.safetensors")
    assert "1 modules of rank 2; 24.3 % of the effect is missing" in done.stderr
    assert rank("small.safetensors") == 2


def test_a_rank_for_each_module(run, lora):
    options = ("--dynamic", "sv_ratio", "--target", "3", "--conv-rank", "2", "-o", "small.safetensors", "--json")
    assert json.loads(run("resize", lora, "--rank", "4", *options).stdout) == {"path": "small.safetensors"}
    assert rank("small.safetensors") == 2


def test_a_model_for_what_depends_on_it(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = ("middle_block.1.transformer_blocks.0.attn1.to_q", "input_blocks.1.1.proj_in")
    arrays = {f"model.diffusion_model.{each}.weight": np.ones((4, 4), np.float32) for each in names}
    arrays = {name: each.reshape(4, 4, 1, 1) if "proj" in name else each for name, each in arrays.items()}
    model = files.save(tmp_path / "model.safetensors", arrays)
    scales = {f"{MODULE}.weight": np.ones(4, np.float32), f"{MODULE}.on_input": np.array(False)}
    source = files.save(tmp_path / "scales.safetensors", scales)
    assert "--base" in run("resize", source, "--rank", "1", "-o", "small.safetensors").stderr
    done = run("resize", source, "--rank", "1", "--base", model, "-o", "small.safetensors")
    assert (done.exit_code, rank("small.safetensors")) == (0, 1)


def test_the_ways_are_those_that_there_are():
    assert [each.value for each in Dynamic] == list(METHODS)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "--rank"),
        (("--rank", "0"), "0 is not in the range"),
        (("--rank", "2", "--dynamic", "sv_fro"), "belong together"),
        (("--rank", "2", "--dynamic", "frobenius"), "sv_fro"),
    ],
)
def test_wrong_usage_is_explained(run, lora, options, said):
    done = run("resize", lora, "-o", "x.safetensors", *options)
    assert done.exit_code == 2
    assert said in done.stderr
