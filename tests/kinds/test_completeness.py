"""Holes in networks: every real model is whole; what is cut out of one is named."""

import pytest

from pochade import families
from pochade.families import SD1, SDXL
from pochade.kinds.completeness import gaps

from ..families.manifests import FOLDER, part, shapes, without

MODELS = sorted(path.name.removesuffix(".json.gz") for path in FOLDER.glob("*.ldm.json.gz"))
SD15 = shapes("sd15.ldm")
UNET = "model.diffusion_model."


@pytest.mark.parametrize("name", MODELS)
def test_real_models_are_whole(name):
    tensors = shapes(name)
    assert gaps(tensors, families.recognise(tensors) or SD1) == {}


def test_parts_alone_are_whole_too():
    assert gaps(part(SD15, UNET), SD1) == {}
    assert gaps(part(SD15, "first_stage_model."), SD1) == {}
    assert gaps(part(SD15, "cond_stage_model.transformer."), SD1) == {}
    assert gaps(part(shapes("sd2-base.ldm"), "cond_stage_model.model."), SD1) == {}
    averages = {SD1.ema_name(name): shape for name, shape in SD15.items() if name.startswith(UNET)}
    assert gaps(averages, SD1) == {}


@pytest.mark.parametrize(
    ("cut", "part_of", "lost"),
    [
        ("output_blocks.7.", "unet", ["output_blocks.7"]),
        ("output_blocks.11.", "unet", ["output_blocks.11"]),
        ("output_blocks.", "unet", ["output_blocks"]),
        ("model.out.", "unet", ["out"]),
        ("middle_block.1.", "unet", ["middle_block.1"]),
        ("input_blocks.4.1.transformer_blocks.0.attn2.to_k.", "unet", [
            "input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight",
        ]),
        ("input_blocks.4.0.in_layers.2.bias", "unet", ["input_blocks.4.0.in_layers.2.bias"]),
        ("first_stage_model.decoder.", "vae", ["decoder"]),
        ("decoder.up.3.", "vae", ["decoder.up.3"]),
        ("decoder.up.1.block.2.conv1.bias", "vae", ["decoder.up.1.block.2.conv1.bias"]),
        ("encoder.layers.5.", "text-encoder", ["encoder.layers.5"]),
        ("token_embedding.", "text-encoder", ["embeddings.token_embedding"]),
    ],
)  # fmt: skip
def test_what_is_cut_out_is_named(cut, part_of, lost):
    found = gaps({name: shape for name, shape in SD15.items() if cut not in name}, SD1)
    assert {name: sorted(set(each)) for name, each in found.items()} == {part_of: lost}


def test_openclip_and_the_second_encoder_are_looked_at():
    tensors = shapes("sdxl-base.ldm")
    found = gaps(without(tensors, "conditioner.embedders.1.model.transformer.resblocks.9."), SDXL)
    assert found == {"text-encoder-2": ["transformer.resblocks.9"]}


def test_a_convolution_must_take_what_its_norm_gives():
    found = gaps(SD15 | {f"{UNET}out.2.weight": (4, 99, 3, 3)}, SD1)
    assert found == {"unet": ["out.2.weight of the shape [4, 99, 3, 3]"]}
