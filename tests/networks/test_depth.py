"""The depth model equals transformers' DPT-hybrid, sees pictures as MiDaS did, and scales depth picture by picture."""

import re

import numpy as np
import pytest
import torch

from pochade import files, layouts
from pochade.errors import MalformedFileError
from pochade.networks.depth import DepthModel, depth_condition, midas_pixels
from pochade.networks.loading import load
from tests.families.manifests import part, shapes, without
from tests.networks.reduced import in_diffusers_names, random_state, reduced

CPU = torch.device("cpu")
PREFIX = "depth_model.model."
IDLE = ("pretrained.model.norm.", "pretrained.model.head.")
# true size -> that of the test; 4 x 4 places
SIZES = {64: 32, 128: 64, 256: 128, 512: 256, 1024: 512, 768: 128, 1536: 256, 2304: 384, 3072: 512, 577: 17}
DEPTHS = (2, 3, 1)
BLOCKS = {"model.blocks": 4} | {f"stages.{stage}.blocks": depth for stage, depth in enumerate(DEPTHS)}


@pytest.fixture(scope="module")
def tensors():
    state = random_state(reduced(without(part(shapes("sd2-depth.ldm"), PREFIX), *IDLE), SIZES, BLOCKS))
    state["scratch.output_conv.4.bias"] += 2.0  # most places get a depth above zero
    return state


@pytest.fixture(scope="module")
def ours(tensors):
    network = DepthModel({name: tuple(tensor.shape) for name, tensor in tensors.items()})
    network.load_state_dict(tensors)
    return network.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def theirs(tensors):
    from transformers import BitConfig, DPTConfig, DPTForDepthEstimation

    backbone = BitConfig(
        embedding_size=32,
        hidden_sizes=[128, 256, 512],
        depths=list(DEPTHS),
        global_padding="same",
        layer_type="bottleneck",
        out_features=["stage1", "stage2", "stage3"],
        embedding_dynamic_padding=True,
    )
    config = DPTConfig(
        is_hybrid=True,
        backbone_config=backbone,
        backbone_featmap_shape=[1, 512, 4, 4],
        backbone_out_indices=[0, 1, 2, 3],
        hidden_size=128,
        num_hidden_layers=4,
        num_attention_heads=2,
        intermediate_size=512,
        image_size=64,
        neck_hidden_sizes=[128, 256, 128, 128],
        reassemble_factors=[1, 1, 1, 0.5],
        fusion_hidden_size=128,
        layer_norm_eps=1e-6,
    )
    network = DPTForDepthEstimation(config)
    missing, unexpected = network.load_state_dict(in_diffusers_names(tensors, layouts.depth), strict=False)
    assert not unexpected
    assert not [name for name in missing if not name.startswith("dpt.layernorm.")]
    return network.eval()


@torch.no_grad()
def test_depth_equals_transformers(ours, theirs):
    pixels = torch.randn(2, 3, 64, 64)
    expected = theirs(pixels).predicted_depth[:, None]
    assert (ours.estimate(pixels) - expected).abs().max() < 1e-4
    assert expected.max() - expected.min() > 0.5


@pytest.mark.parametrize("size", [(64, 96), (96, 32)])
@torch.no_grad()
def test_depth_of_pictures_that_are_not_square_equals_transformers(ours, theirs, size):
    """Its parts one by one: as a whole it takes squares only."""
    pixels = torch.randn(1, 3, *size)
    theirs.dpt.embeddings.image_size = size
    seen = theirs.dpt(pixels, output_hidden_states=True)
    features = [*seen.intermediate_activations, *seen.hidden_states[-2:]]
    expected = theirs.head(theirs.neck(features, size[0] // 16, size[1] // 16))
    theirs.dpt.embeddings.image_size = (64, 64)
    assert (ours.estimate(pixels) - expected[:, None]).abs().max() < 1e-4


@torch.no_grad()
def test_pictures_of_any_size_get_a_depth(ours):
    pictures = torch.rand(2, 3, 50, 91) * 2 - 1
    depth = ours(pictures)
    assert depth.shape == (2, 1, 64, 128)
    assert torch.equal(depth, ours.estimate(midas_pixels(pictures, 64)))


def test_the_true_models_names_and_shapes_are_the_networks():
    tensors = part(shapes("sd2-depth.ldm"), PREFIX)
    with torch.device("meta"):
        network = DepthModel(tensors)
    assert {key: tuple(value.shape) for key, value in network.state_dict().items()} == without(tensors, *IDLE)
    assert network.pretrained.model.side == 384


# what MiDaS' transform for DPT-hybrid makes of a picture's height and width
MIDAS_SIZES = {
    (512, 512): (384, 384),
    (512, 768): (384, 576),
    (768, 512): (576, 384),
    (1000, 333): (1152, 384),
    (200, 250): (320, 384),
    (300, 500): (224, 384),
    (336, 432): (288, 384),
    (1024, 640): (608, 384),
}


@pytest.mark.parametrize("size", MIDAS_SIZES)
def test_pictures_are_resized_as_midas_does(size):
    assert midas_pixels(torch.zeros(1, 3, *size)).shape[-2:] == MIDAS_SIZES[size]


def test_a_very_flat_picture_keeps_a_row_of_patches():
    assert midas_pixels(torch.zeros(1, 3, 64, 2048)).shape[-2:] == (32, 384)


def test_depth_fits_the_latents_and_spans_its_range_in_each_picture():
    depth = torch.rand(2, 1, 48, 64) * torch.tensor([3.0, 700.0]).view(2, 1, 1, 1)
    condition = depth_condition(depth, (8, 10))
    resized = torch.nn.functional.interpolate(depth, (8, 10), mode="bicubic", align_corners=False)
    for ours, picture in zip(condition, resized, strict=True):
        expected = 2 * (picture - picture.min()) / (picture.max() - picture.min()) - 1
        torch.testing.assert_close(ours, expected)


def test_a_picture_without_depth_is_far_everywhere():
    assert torch.equal(depth_condition(torch.full((1, 1, 32, 32), 7.0), (4, 4)), torch.full((1, 1, 4, 4), -1.0))


@pytest.mark.parametrize("lost", ["pretrained.model.cls_token", "pretrained.act_postprocess4.3.weight"])
def test_a_model_that_lacks_a_tensor_is_refused(tensors, lost):
    arrays = {PREFIX + name: tensor.numpy() for name, tensor in tensors.items() if name != lost}
    with pytest.raises(MalformedFileError, match=r"no complete DepthModel|" + re.escape(lost)):
        load(DepthModel, files.Weights.from_arrays(arrays), PREFIX, CPU, torch.float32)


@pytest.mark.slow
@torch.no_grad()
def test_the_true_model_loads_and_sees():
    generator = np.random.default_rng(1)
    arrays = {
        PREFIX + name: generator.standard_normal(shape, np.float32) * 0.02
        for name, shape in part(shapes("sd2-depth.ldm"), PREFIX).items()
    }
    network = load(DepthModel, files.Weights.from_arrays(arrays), PREFIX, CPU, torch.float32)
    depth = network(torch.rand(1, 3, 512, 640) * 2 - 1)
    assert depth.shape == (1, 1, 384, 480)
    assert depth.isfinite().all()
