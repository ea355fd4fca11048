"""A VAE in tiles gives what it gives for the whole picture, to rounding, in less memory."""

import pytest
import torch
from torch import nn

from pochade.networks import VAE, fresh, vae_shapes
from pochade.networks.vae_tiles import decode, encode, whole_bytes

NEAR = {"rtol": 1e-4, "atol": 2e-5}


@pytest.fixture(scope="module", autouse=True)
def _without_gradients():
    with torch.no_grad():
        yield


@pytest.fixture
def vae():
    """Four levels, of which two change the width, with norms that are not all alike."""
    vae = fresh(VAE, vae_shapes(32, (1, 2, 3, 3), 1), 1).eval()
    generator = torch.Generator().manual_seed(2)
    for each in vae.parameters():
        each.add_(torch.randn(each.shape, generator=generator) * 0.05)
    return vae


@pytest.fixture
def latents():
    """Two pictures that are not alike everywhere, with odd sides."""
    generator = torch.Generator().manual_seed(3)
    latents = torch.randn(2, 4, 9, 6, generator=generator)
    latents[:, :, :4] *= 0.1
    latents[1] += 2
    return latents


@pytest.mark.parametrize("side", [16, 1000])
def test_decoding_in_tiles_changes_nothing(vae, latents, side):
    torch.testing.assert_close(decode(vae, latents, side), vae.decode(latents), **NEAR)


@pytest.mark.parametrize("side", [16, 24])
def test_encoding_in_tiles_changes_nothing(vae, latents, side):
    pictures = vae.decode(latents).clamp(-1, 1)
    torch.testing.assert_close(encode(vae, pictures, side), vae.encode(pictures), **NEAR)


def test_patterns_that_repeat_are_cut_too(vae, latents):
    for each in vae.modules():
        if isinstance(each, nn.Conv2d):
            each.padding_mode = "circular"
    torch.testing.assert_close(decode(vae, latents, 16), vae.decode(latents), **NEAR)
    pictures = vae.decode(latents).clamp(-1, 1)
    torch.testing.assert_close(encode(vae, pictures, 16), vae.encode(pictures), **NEAR)


def test_half_precision_stays_half(vae, latents):
    exact = vae.decode(latents)
    vae.bfloat16()
    tiles, whole = decode(vae, latents.bfloat16(), 16), vae.decode(latents.bfloat16())
    assert tiles.dtype == torch.bfloat16
    assert (tiles - exact).abs().mean() < 1.5 * (whole - exact).abs().mean()


def test_what_a_whole_picture_takes_is_told_from_its_widest_features(vae):
    assert whole_bytes(vae, 64, 32) == 4 * 64 * 32 * 64 * 4
    assert whole_bytes(vae.half(), 64, 32) == 4 * 64 * 32 * 64 * 2
