"""Noise on embeddings and small pictures equals that of diffusers' unCLIP and upscaler pipelines."""

import pytest
import torch

from pochade.errors import UsageError
from pochade.networks.noise_augmentation import noised_embedding, noised_picture
from tests.families.manifests import shapes


def scheduler(schedule, **betas):
    from diffusers import DDPMScheduler

    return DDPMScheduler(num_train_timesteps=1000, beta_schedule=schedule, **betas)


@pytest.mark.parametrize("level", [0, 1, 250, 999])
@pytest.mark.parametrize("width", [1024, 768])
def test_noised_embeddings_equal_diffusers(width, level):
    from diffusers.models.embeddings import get_timestep_embedding
    from diffusers.pipelines.stable_diffusion.stable_unclip_image_normalizer import StableUnCLIPImageNormalizer

    normalizer = StableUnCLIPImageNormalizer(width).requires_grad_(False)
    normalizer.mean.normal_()
    normalizer.std.uniform_(0.5, 2)
    embeddings, noise = torch.randn(2, 3, width)
    levels = torch.full((3,), level)
    noised = scheduler("squaredcos_cap_v2").add_noise(normalizer.scale(embeddings), noise, levels)
    told = get_timestep_embedding(levels, width, flip_sin_to_cos=True, downscale_freq_shift=0)
    theirs = torch.cat([normalizer.unscale(noised), told], dim=1)
    ours = noised_embedding(embeddings, noise, level, normalizer.mean, normalizer.std)
    assert (ours - theirs).abs().max() < 1e-4


@pytest.mark.parametrize("name", ["unclip-h", "unclip-l"])
def test_class_vectors_are_as_wide_as_the_model_takes_them(name):
    tensors = shapes(f"{name}.ldm")
    width = tensors["embedder.model.visual.proj"][1]
    classes = noised_embedding(torch.randn(2, width, dtype=torch.float16), torch.randn(2, width))
    assert classes.shape == (2, tensors["model.diffusion_model.label_emb.0.0.weight"][1])
    assert classes.dtype == torch.float16


def test_embeddings_hardly_change_at_the_lowest_level_and_vanish_at_the_highest():
    embeddings, noise = torch.randn(2, 1, 768)
    assert (noised_embedding(embeddings, noise, 0)[:, :768] - embeddings).abs().max() < 0.05
    assert (noised_embedding(embeddings, noise, 999)[:, :768] - noise).abs().max() < 0.05


@pytest.mark.parametrize("level", [0, 20, 349, 350])
def test_noised_pictures_equal_diffusers(level):
    pictures, noise = torch.randn(2, 2, 3, 8, 6)
    theirs = scheduler("scaled_linear", beta_start=0.0001, beta_end=0.02)
    noised, numbers = noised_picture(pictures, noise, level)
    assert (noised - theirs.add_noise(pictures, noise, torch.full((2,), level))).abs().max() < 1e-5
    assert numbers.tolist() == [level, level]
    assert not numbers.is_floating_point()


def test_levels_that_do_not_exist_are_refused():
    embeddings, pictures = torch.zeros(1, 8), torch.zeros(1, 3, 4, 4)
    with pytest.raises(UsageError, match="1000 does not exist; on an embedding it goes from 0 to 999"):
        noised_embedding(embeddings, embeddings, 1000)
    for level in (-1, 351):
        with pytest.raises(UsageError, match=f"{level} does not exist; on a picture it goes from 0 to 350"):
            noised_picture(pictures, pictures, level)
