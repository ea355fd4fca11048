"""Every network equals its diffusers or transformers class on the same random weights, in fp32."""

import pytest
import torch
from torch import Tensor, nn

from pochade import layouts
from pochade.networks import VAE, CLIPText, UNet, clip_shapes, fresh, unet_shapes, vae_shapes

TOLERANCE = 1e-4


def randomised(network: nn.Module) -> nn.Module:
    """No branch closed, so that every layer shows in the output."""
    generator = torch.Generator().manual_seed(3)
    for name, parameter in network.named_parameters():
        if parameter.ndim > 1:
            parameter.data.normal_(0, parameter[0].numel() ** -0.5, generator=generator)
        else:
            parameter.data.normal_(1.0 if name.endswith("weight") else 0.0, 0.1, generator=generator)
    return network.eval().requires_grad_(False)


def worst(ours: Tensor, theirs: Tensor) -> float:
    assert ours.shape == theirs.shape
    return float((ours - theirs).abs().max())


def diffusers_unet(
    ours: UNet, widths: tuple[int, ...], context: int, attention: tuple[int, ...], blocks: int
) -> nn.Module:
    from diffusers import UNet2DConditionModel

    levels = range(len(widths))
    theirs = UNet2DConditionModel(
        block_out_channels=widths,
        layers_per_block=blocks,
        cross_attention_dim=context,
        attention_head_dim=8,
        down_block_types=tuple("CrossAttnDownBlock2D" if level in attention else "DownBlock2D" for level in levels),
        up_block_types=tuple("CrossAttnUpBlock2D" if level in attention else "UpBlock2D" for level in reversed(levels)),
    )
    state = ours.state_dict()
    names = layouts.unet.to_diffusers(state)
    theirs.load_state_dict({names[name]: tensor for name, tensor in state.items()})
    return theirs.eval()


def diffusers_vae(ours: VAE, widths: tuple[int, ...], blocks: int) -> nn.Module:
    from diffusers import AutoencoderKL

    count = len(widths)
    theirs = AutoencoderKL(
        block_out_channels=widths,
        layers_per_block=blocks,
        latent_channels=4,
        down_block_types=("DownEncoderBlock2D",) * count,
        up_block_types=("UpDecoderBlock2D",) * count,
    )
    state = ours.state_dict()
    names = layouts.vae.to_diffusers(state)
    theirs.load_state_dict(
        {
            names[name]: tensor[:, :, 0, 0] if layouts.vae.is_projection(name) else tensor
            for name, tensor in state.items()
        }
    )
    return theirs.eval()


def transformers_clip(ours: CLIPText, width: int, layers: int) -> nn.Module:
    from transformers import CLIPTextConfig, CLIPTextModel

    config = CLIPTextConfig(
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=layers,
        num_attention_heads=width // 64,
        vocab_size=ours.text_model.embeddings.token_embedding.num_embeddings,
        hidden_act="quick_gelu",
    )
    theirs = CLIPTextModel(config)
    state = ours.state_dict()
    prefix = "" if any(name.startswith("embeddings") for name in theirs.state_dict()) else "text_model."
    theirs.load_state_dict(
        {prefix + name.removeprefix("text_model."): each for name, each in state.items()}, strict=False
    )
    return theirs.eval()


@pytest.mark.parametrize(
    ("multipliers", "attention", "blocks"), [((1, 2, 2), (1, 2), 1), ((1, 2, 4, 4), (0, 1, 2), 2)], ids=str
)
@torch.no_grad()
def test_unet_equals_diffusers(multipliers, attention, blocks):
    ours = randomised(fresh(UNet, unet_shapes(32, multipliers, 64, attention, blocks), 1))
    theirs = diffusers_unet(ours, tuple(32 * each for each in multipliers), 64, attention, blocks)
    x, times, text = torch.randn(2, 4, 16, 24), torch.tensor([3.0, 981.0]), torch.randn(2, 77, 64)
    assert worst(ours(x, times, text), theirs(x, times, text).sample) < TOLERANCE


@torch.no_grad()
def test_unet_takes_sizes_that_halve_unevenly():
    """As A1111 does it (diffusers resizes before the convolution instead); the golden pictures hold the numbers."""
    ours = randomised(fresh(UNet, unet_shapes(32, (1, 2, 2), 64, (1, 2), 1), 1))
    x, times, text = torch.randn(1, 4, 13, 9), torch.tensor([500.0]), torch.randn(1, 77, 64)
    assert ours(x, times, text).shape == x.shape
    upsample, features = ours.output_blocks[1][-1], torch.randn(1, 64, 4, 3)
    doubled = upsample(features)
    assert doubled.shape[-2:] == (8, 6)
    assert torch.equal(upsample(features, (7, 5)), torch.nn.functional.interpolate(doubled, (7, 5), mode="nearest"))


@torch.no_grad()
def test_vae_equals_diffusers():
    ours = randomised(fresh(VAE, vae_shapes(32, (1, 2, 2)), 1))
    theirs = diffusers_vae(ours, (32, 64, 64), 2)
    pictures, latents = torch.randn(2, 3, 64, 48), torch.randn(2, 4, 8, 6)
    mean, log_variance = ours.encode(pictures)
    distribution = theirs.encode(pictures).latent_dist
    assert worst(mean, distribution.mean) < TOLERANCE
    assert worst(log_variance, distribution.logvar) < TOLERANCE
    assert worst(ours.decode(latents), theirs.decode(latents).sample) < TOLERANCE


@pytest.mark.parametrize("skip", [1, 2, 3])
@torch.no_grad()
def test_clip_equals_transformers(skip):
    ours = randomised(fresh(CLIPText, clip_shapes(128, 4, vocabulary=1000), 1))
    theirs = transformers_clip(ours, 128, 4)
    tokens = torch.randint(0, 1000, (2, 77))
    hidden = theirs(tokens, output_hidden_states=True).hidden_states[-skip]
    assert worst(ours(tokens, skip), ours.text_model.final_layer_norm(hidden)) < TOLERANCE


@pytest.mark.slow
@torch.no_grad()
def test_true_sd15_unet_equals_diffusers():
    ours = randomised(fresh(UNet, unet_shapes(320, (1, 2, 4, 4), 768, (0, 1, 2)), 1))
    theirs = diffusers_unet(ours, (320, 640, 1280, 1280), 768, (0, 1, 2), 2)
    x, times, text = torch.randn(1, 4, 32, 32), torch.tensor([601.0]), torch.randn(1, 77, 768)
    assert worst(ours(x, times, text), theirs(x, times, text).sample) < TOLERANCE


@pytest.mark.slow
@torch.no_grad()
def test_true_sd15_vae_and_clip_equal_their_oracles():
    vae = randomised(fresh(VAE, vae_shapes(128, (1, 2, 4, 4)), 1))
    theirs = diffusers_vae(vae, (128, 256, 512, 512), 2)
    latents = torch.randn(1, 4, 16, 16)
    assert worst(vae.decode(latents), theirs.decode(latents).sample) < TOLERANCE
    text = randomised(fresh(CLIPText, clip_shapes(768, 12), 1))
    tokens = torch.randint(0, 49408, (1, 77))
    assert worst(text(tokens), transformers_clip(text, 768, 12)(tokens).last_hidden_state) < TOLERANCE
