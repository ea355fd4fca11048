"""The options for a VAE and for memory, and what a command says when memory runs out."""

from pathlib import Path

import pytest

from pochade.errors import ResourceError
from pochade.generation.picture import Picture


@pytest.fixture
def model():
    path = Path("models/VAE/dream.vae.pt")
    path.parent.mkdir(parents=True)
    path.touch()
    Path("models/dream.safetensors").touch()
    return ["--models", "models", "--model", "models/dream.safetensors", "-o", "x.png"]


@pytest.mark.parametrize("option", [[], ["--vae", "auto"]])
def test_the_vae_that_goes_with_a_model_is_found(run, pipeline, model, option):
    assert run("txt2img", "a", *model, *option).exit_code == 0
    assert pipeline.loaded["vae"] == Path("models/VAE/dream.vae.pt")


def test_none_is_the_models_own(run, pipeline, model):
    assert run("txt2img", "a", *model, "--vae", "None").exit_code == 0
    assert pipeline.loaded["vae"] is None


def test_memory_is_for_loading_and_in_the_record(run, pipeline, model):
    assert run("txt2img", "a", *model, "--memory", "4", "--vae-tile", "0").exit_code == 0
    assert pipeline.memory == 4
    request = Picture.open("x.png").request
    assert (request.memory, request.vae_tile) == (4.0, 0)


def test_redo_takes_the_recorded_choice_for_no_name(run, pipeline, model):
    run("txt2img", "a", *model, "--vae", "none")
    assert run("redo", "x.png", "--models", "models", "-o", "y.png").exit_code == 0
    assert pipeline.loaded["vae"] is None


def test_no_memory_has_an_exit_code_of_its_own(run, pipeline):
    pipeline.failure = ResourceError("Memory ran out while the UNet was at work; draw a smaller picture.")
    done = run("txt2img", "a", "-o", "x.png")
    assert done.exit_code == 5
    assert "Memory ran out" in done.stderr
