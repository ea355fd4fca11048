"""A whole model from nothing, in miniature: every stage runs, resumes, and the file is a checkpoint like any other."""

from dataclasses import replace
from itertools import islice

import pytest
import torch

import pochade
from pochade import Pipeline, files
from pochade.errors import MalformedFileError, MissingFileError, UsageError
from pochade.events import Saved, Step
from pochade.families import SD1, recognise
from pochade.networks import VAE, CLIPText, UNet, clip_shapes, fresh, unet_shapes, vae_shapes
from pochade.picturebook.pictures import PictureBook
from pochade.sampling import NoiseTable
from pochade.training import Recipe, chance, train_recipe
from pochade.training.methods.native import NativeTraining
from pochade.training.methods.vae import VAETraining, divergence
from pochade.training.pictures import as_tensor
from pochade.training.scratch import _standardise

RECIPE = """
title = "Miniature"
seed = 3
date = 2026-11-21
data = { resolution = 128, autoencoder_pictures = 8, pictures = 8, held_out = 4 }

[networks]
vae = { width = 32, multipliers = [1, 1, 1, 1], blocks = 1 }
unet = { width = 32, multipliers = [1, 1], attention_levels = [1], blocks = 1 }
text = { width = 64, layers = 1 }

[[vae]]
steps = 2
batch = 2
crop = 32
learning_rate = 1e-3

[[native]]
steps = 3
batch = 2
learning_rate = 1e-3
save_every = 1

[[native]]
steps = 2
batch = 2
learning_rate = 1e-3
sketch = { steps = 2, batch = 2, learning_rate = 1e-3 }

[[decoder]]
steps = 1
batch = 1
crop = 64
kind = "mse"
learning_rate = 1e-3
"""


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE)
    return Recipe.read(path)


def test_a_model_is_made_and_draws(recipe, tmp_path):
    saved = [event for event in train_recipe(recipe, tmp_path / "run") if isinstance(event, Saved)]
    path = saved[-1].path
    weights = files.open(path)
    report = pochade.inspect(path)
    assert recognise(weights.shapes()) is SD1
    assert report["kind"] == "checkpoint"
    assert report["missing"] == []
    assert set(report["dtypes"]) == {"F16"}
    assert weights.metadata["modelspec.resolution"] == "128x128"
    assert weights.metadata["modelspec.date"] == "2026-11-21"
    assert weights.metadata["modelspec.architecture"] == "stable-diffusion-v1"
    picture = Pipeline.load(path).txt2img("a red house", steps=2, width=64, height=64)
    assert picture.image.size == (64, 64)


def test_a_run_killed_in_the_middle_ends_with_the_same_model(recipe, tmp_path):
    list(train_recipe(recipe, tmp_path / "whole"))
    events = train_recipe(recipe, tmp_path / "killed")
    next(event for event in events if isinstance(event, Step) and event.what == "unet-1" and event.done == 2)
    events.close()
    list(train_recipe(recipe, tmp_path / "killed"))
    whole, resumed = ((tmp_path / run / "model.safetensors").read_bytes() for run in ("whole", "killed"))
    assert whole == resumed


def test_a_run_is_not_continued_with_other_data(recipe, tmp_path):
    list(islice(train_recipe(recipe, tmp_path / "run"), 1))
    other = replace(recipe, data=replace(recipe.data, pictures=16))
    with pytest.raises(UsageError, match=r"other data.*name another folder"):
        list(train_recipe(other, tmp_path / "run"))


def test_standardised_latents_have_unit_deviation_and_decode_the_same():
    vae = fresh(VAE, vae_shapes(32, (1, 1, 1, 1), 1), 1)
    book = PictureBook(8, 1)
    pixels = as_tensor([book.picture(index) for index in range(8)])
    with torch.no_grad():
        before = vae.decode(vae.encode(pixels)[0])
        _standardise(vae, book)
        mean, _ = vae.encode(pixels)
        after = vae.decode(mean)
    scaled = mean * SD1.latent_scale
    assert scaled.mean(dim=(0, 2, 3)).abs().max() < 0.05
    assert (scaled.std(dim=(0, 2, 3)) - 1).abs().max() < 0.05
    torch.testing.assert_close(before, after, atol=1e-3, rtol=1e-3)


def test_a_trained_decoder_leaves_the_encoder_alone():
    vae = fresh(VAE, vae_shapes(32, (1, 1), 1), 1)
    method = VAETraining(vae, PictureBook(2, 1), batch=1, crop=32, seed=1, kind="mse", parts="decoder")
    names = set(method.trainable())
    assert {name.split(".")[0] for name in names} == {"decoder", "post_quant_conv"}
    method.loss(0).backward()
    assert all(each.grad is None for name, each in vae.named_parameters() if name not in names)


def test_divergence_of_unit_noise_is_zero():
    assert float(divergence(torch.zeros(2, 4, 3, 3), torch.zeros(2, 4, 3, 3))) == 0.0
    assert float(divergence(torch.ones(1, 1, 1, 2), torch.zeros(1, 1, 1, 2))) == pytest.approx(1.0)


def native(dropout: float = 0.1, gamma: float = 5.0) -> NativeTraining:
    return NativeTraining(
        unet=fresh(UNet, unet_shapes(32, (1, 1), 64, (1,), 1), 1),
        text_encoder=fresh(CLIPText, clip_shapes(64, 1), 1),
        latents=torch.randn(16, 4, 8, 8, generator=torch.Generator().manual_seed(1)).half(),
        pictures=PictureBook(16, 1),
        table=NoiseTable.scaled_linear(),
        batch=8,
        seed=5,
        dropout=dropout,
        snr_gamma=gamma,
    )


def test_a_silent_unet_is_wrong_by_the_noise_itself():
    """A fresh UNet says zero, so its plain loss is the mean square of the noise it should have found."""
    noise = chance.normal((8, 4, 8, 8), 5, "noise", 0)
    assert float(native(gamma=0).loss(0).detach()) == pytest.approx(float(noise.square().mean()), rel=1e-4)


def test_snr_weights_only_hold_back_clean_timesteps():
    assert float(native(gamma=5.0).loss(0).detach()) < float(native(gamma=0).loss(0).detach())


@pytest.mark.parametrize(("dropout", "share"), [(0.0, 0.0), (1.0, 1.0), (0.1, 0.1)])
def test_captions_drop_out_as_asked(dropout, share):
    method = native(dropout)
    empty = [method._caption(epoch, index) == "" for epoch in range(60) for index in range(16)]
    assert sum(empty) / len(empty) == pytest.approx(share, abs=0.04)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (("title", "tittle"), UsageError, "'tittle' is no field"),
        (("steps = 2", "steps = 0"), UsageError, "steps"),
        (("crop = 32", "corp = 32"), UsageError, "'vae.0.corp' is no field of a recipe"),
        (("pictures = 8, held_out", "held_out"), UsageError, "'data.pictures' is missing"),
        (("width = 64", "width = 'wide'"), UsageError, "'networks.text.width' is 'wide'"),
        (('kind = "mse"', 'kind = "msd"'), UsageError, "'l1' or 'mse'"),
        (("[networks]", "[networks"), MalformedFileError, "no TOML"),
    ],
)
def test_wrong_recipes_are_explained(tmp_path, change, error, words):
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE.replace(*change))
    with pytest.raises(error, match=words):
        list(train_recipe(Recipe.read(path), tmp_path / "run"))


def test_a_missing_recipe_is_a_missing_file(tmp_path):
    with pytest.raises(MissingFileError):
        Recipe.read(tmp_path / "none.toml")
