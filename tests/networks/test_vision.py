"""The image encoders of unCLIP equal transformers' CLIP, and see pictures as the original's resizing shows them."""

from functools import partial

import numpy as np
import pytest
import torch

from pochade import files, layouts
from pochade.errors import MalformedFileError
from pochade.networks.loading import load
from pochade.networks.vision import CLIPVision, clip_pixels
from tests.families.manifests import part, shapes
from tests.networks.reduced import in_diffusers_names, random_state, reduced

PREFIX = "embedder.model.visual."
MODELS = ["unclip-h", "unclip-l"]
# true width -> that of the test; 16 heads, 4 x 4 patches
SIZES = {
    "unclip-h": {1280: 64, 3840: 192, 5120: 256, 1024: 48, 257: 17},
    "unclip-l": {1024: 64, 3072: 192, 4096: 256, 768: 48, 257: 17},
}
BLOCKS = {"resblocks": 2}


def built(tensors, quick_gelu):
    network = CLIPVision({name: tuple(tensor.shape) for name, tensor in tensors.items()}, quick_gelu=quick_gelu)
    network.load_state_dict(tensors)
    return network.eval().requires_grad_(False)


def oracle(tensors, heads, activation):
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    width, _, _, patch = tensors["conv1.weight"].shape
    config = CLIPVisionConfig(
        hidden_size=width,
        intermediate_size=tensors["transformer.resblocks.0.mlp.c_fc.bias"].numel(),
        projection_dim=tensors["proj"].shape[1],
        num_hidden_layers=len([name for name in tensors if name.endswith("ln_1.bias")]),
        num_attention_heads=heads,
        image_size=patch * int((len(tensors["positional_embedding"]) - 1) ** 0.5),
        patch_size=patch,
        hidden_act=activation,
    )
    network = CLIPVisionModelWithProjection(config)
    missing, unexpected = network.load_state_dict(in_diffusers_names(tensors, layouts.vision), strict=False)
    assert not unexpected
    assert not [name for name in missing if not name.endswith("position_ids")]
    return network.eval()


@pytest.mark.parametrize(("name", "activation"), [("unclip-h", "gelu"), ("unclip-l", "quick_gelu")])
@torch.no_grad()
def test_embeddings_equal_transformers(name, activation):
    tensors = random_state(reduced(part(shapes(f"{name}.ldm"), PREFIX), SIZES[name], BLOCKS))
    ours = built(tensors, activation == "quick_gelu")
    pixels = torch.randn(2, 3, ours.side, ours.side)
    theirs = oracle(tensors, 16, activation)(pixels).image_embeds
    assert (ours.encode(pixels) - theirs).abs().max() < 1e-4
    assert theirs.abs().max() > 0.1


@torch.no_grad()
def test_pictures_of_any_size_and_precision_become_embeddings():
    tensors = random_state(reduced(part(shapes("unclip-l.ldm"), PREFIX), SIZES["unclip-l"], BLOCKS))
    network = built(tensors, quick_gelu=True)
    pictures = torch.rand(2, 3, 75, 130) * 2 - 1
    expected = network(pictures)
    assert expected.shape == (2, 48)
    assert torch.equal(expected, network.encode(clip_pixels(pictures, network.side)))
    half = network.bfloat16()(pictures)
    assert half.dtype == torch.bfloat16
    assert (half.float() - expected).abs().max() < 0.05 * expected.abs().max()


@pytest.mark.parametrize("name", MODELS)
def test_the_true_models_names_and_shapes_are_the_networks(name):
    tensors = part(shapes(f"{name}.ldm"), PREFIX)
    with torch.device("meta"):
        network = CLIPVision(tensors)
    assert {key: tuple(value.shape) for key, value in network.state_dict().items()} == tensors
    assert network.side == 224


# what kornia 0.9 makes of red in `wave(H, W)` at 3 x 3: bicubic, corners aligned, antialiased
KORNIA = {
    (9, 14): [[-0.25898, 0.19928, 0.25856], [-0.10184, -0.0095, 0.10186], [-0.21121, -0.24316, 0.21172]],
    (7, 2): [[0.22229, 0.35493, 0.48756], [0.90688, 0.85537, 0.80385], [-0.21275, -0.34593, -0.47911]],
}


def wave(height, width):
    return torch.arange(3.0 * height * width).mul(0.3).sin().view(1, 3, height, width)


def plain(pixels):
    """Pixels in -1..1 again."""
    mean = torch.tensor([0.48145466, 0.4578275, 0.40821073]).view(3, 1, 1)
    deviation = torch.tensor([0.26862954, 0.26130258, 0.27577711]).view(3, 1, 1)
    return (pixels * deviation + mean) * 2 - 1


@pytest.mark.parametrize("size", KORNIA)
def test_pictures_shrink_as_in_the_original(size):
    np.testing.assert_allclose(plain(clip_pixels(wave(*size), 3))[0, 0], KORNIA[size], atol=1e-4)


def test_pictures_that_grow_are_not_blurred():
    pictures = wave(5, 4)
    grown = torch.nn.functional.interpolate(pictures, (8, 8), mode="bicubic", align_corners=True)
    torch.testing.assert_close(plain(clip_pixels(pictures, 8)), grown, atol=1e-5, rtol=0)


@pytest.mark.parametrize("lost", ["class_embedding", "transformer.resblocks.0.attn.in_proj_bias", "ln_post.bias"])
def test_an_encoder_that_lacks_a_tensor_is_refused(lost):
    tensors = random_state(reduced(part(shapes("unclip-h.ldm"), PREFIX), SIZES["unclip-h"], BLOCKS))
    arrays = {PREFIX + name: tensor.numpy() for name, tensor in tensors.items() if name != lost}
    with pytest.raises(MalformedFileError, match=lost.rsplit(".", 1)[-1]):
        load(CLIPVision, files.Weights.from_arrays(arrays), PREFIX, torch.device("cpu"), torch.float32)


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
@torch.no_grad()
def test_true_encoders_load_and_see(name):
    """In half precision: 0.6 and 1.3 GB."""
    generator = np.random.default_rng(1)
    arrays = {
        PREFIX + key: (generator.standard_normal(shape, np.float32) * 0.02).astype(np.float16)
        for key, shape in part(shapes(f"{name}.ldm"), PREFIX).items()
    }
    build = partial(CLIPVision, quick_gelu=name == "unclip-l")
    network = load(build, files.Weights.from_arrays(arrays), PREFIX, torch.device("cpu"), torch.float16)
    embedding = network(torch.rand(1, 3, 512, 640) * 2 - 1)
    assert embedding.shape == (1, arrays[f"{PREFIX}proj"].shape[1])
    assert embedding.isfinite().all()
