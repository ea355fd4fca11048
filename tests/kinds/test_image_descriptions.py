"""Descriptions of networks that look at pictures: transformers builds networks of them that compute what ours do."""

import pytest
import torch
from diffusers import DDPMScheduler
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection, DPTConfig, DPTForDepthEstimation

from pochade.families import SD2
from pochade.files import Weights
from pochade.files.folders import INDEX
from pochade.kinds.image_descriptions import EXTRACTOR, needs_statistics, with_image_parts
from pochade.kinds.image_parts import ENCODER, ESTIMATOR, NORMALIZER, image_part_of, plain_statistics
from pochade.layouts.packing import unpacked
from pochade.networks.depth import DepthModel
from pochade.networks.vision import CLIPVision

from ..families.manifests import part, shapes
from ..networks.reduced import random_state, reduced

BRANCHES = {variant.name: variant for variant in SD2.variants}
DEPTHS = {"model.blocks": 4, "stages.0.blocks": 2, "stages.1.blocks": 3, "stages.2.blocks": 1}
SIZES = {
    "unclip-h": {1280: 64, 3840: 192, 5120: 256, 1024: 48, 257: 17},
    "unclip-l": {1024: 64, 3072: 192, 4096: 256, 768: 32, 257: 17},
    "depth": {64: 32, 128: 64, 256: 128, 512: 256, 1024: 512, 768: 128, 1536: 256, 2304: 384, 3072: 512, 577: 17},
}


def network(name, manifest, image):
    """Random tensors of a small network in the original's names, the same as diffusers has it, and the descriptions."""
    state = random_state(reduced(part(shapes(manifest), image.prefix), SIZES[name], {"resblocks": 2} | DEPTHS))
    weights = Weights.from_arrays({key: tensor.numpy() for key, tensor in state.items()})
    inner = unpacked(weights, image.to_diffusers(weights))
    parts = {image.folder: inner, NORMALIZER: plain_statistics(48)}
    told = with_image_parts({"unet": {"cross_attention_dim": 48}, INDEX: {}}, parts, BRANCHES[name])
    return state, {key: torch.from_numpy(array) for key, array in inner.items()}, told


def sizes(state):
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


@pytest.mark.parametrize("name", ["unclip-h", "unclip-l"])
@torch.no_grad()
def test_an_image_encoder_computes_what_ours_does(name):
    state, inner, told = network(name, f"{name}.ldm", ENCODER)
    ours = CLIPVision(sizes(state), 16, name == "unclip-l")
    ours.load_state_dict(state)
    theirs = CLIPVisionModelWithProjection(CLIPVisionConfig(**told[ENCODER.folder])).eval()
    theirs.load_state_dict(inner)
    pixels = torch.randn(2, 3, 56, 56, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(theirs(pixels).image_embeds, ours.encode(pixels), atol=1e-4, rtol=1e-4)
    assert needs_statistics(told) is (name == "unclip-l")


@torch.no_grad()
def test_a_depth_estimator_computes_what_ours_does():
    state, inner, told = network("depth", "sd2-depth.ldm", ESTIMATOR)
    state = {name: tensor for name, tensor in state.items() if "model.head." not in name}
    state["scratch.output_conv.4.bias"] += 2  # most places get a depth above zero
    shown = {name: tensor for name, tensor in state.items() if "model.norm." not in name}
    ours = DepthModel(sizes(shown))
    ours.load_state_dict(shown)
    theirs = DPTForDepthEstimation(DPTConfig(**told[ESTIMATOR.folder])).eval()
    theirs.load_state_dict(inner | {"head.head.4.bias": state["scratch.output_conv.4.bias"]})
    pixels = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    expected = ours.estimate(pixels)[:, 0]
    torch.testing.assert_close(theirs(pixels).predicted_depth, expected, atol=1e-4, rtol=1e-4)
    assert expected.std() > 0.1


def test_the_noise_of_embeddings_is_the_checkpoint_s():
    (noiser,) = [table for name, table in network("unclip-l", "unclip-l.ldm", ENCODER)[2].items() if "noising" in name]
    schedule = DDPMScheduler.from_config(noiser)
    steps = (torch.arange(1001, dtype=torch.float64) / 1000 + 0.008) / 1.008
    kept = torch.cos(steps * torch.pi / 2) ** 2
    betas = (1 - kept[1:] / kept[:-1]).clamp(max=0.999).float()
    torch.testing.assert_close(schedule.betas, betas, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("branch", [None, *(BRANCHES[name] for name in ("base", "inpainting", "x4-upscaler"))])
def test_other_branches_have_no_such_network(branch):
    assert image_part_of(branch) is None
    assert with_image_parts({INDEX: {}}, {}, branch) == {INDEX: {}}


def test_without_its_network_a_branch_s_places_are_null():
    told = with_image_parts(
        {"unet": {"cross_attention_dim": 8}, INDEX: {"safety_checker": [None, None]}}, {}, BRANCHES["unclip-h"]
    )
    assert told[INDEX]["image_encoder"] == told[INDEX][NORMALIZER] == told[INDEX][EXTRACTOR] == [None, None]
    assert told[INDEX]["image_noising_scheduler"] == ["diffusers", "DDPMScheduler"]
    assert "safety_checker" not in told[INDEX]
