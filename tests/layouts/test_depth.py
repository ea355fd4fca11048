"""Names of the depth network: every true name has its place in transformers' DPT, but for what takes no part."""

import pytest

from pochade.layouts import depth

from ..families.manifests import part, shapes

NAMES = part(shapes("sd2-depth.ldm"), "depth_model.model.")
CLASSIFIER = {"pretrained.model.head.weight", "pretrained.model.head.bias"}
PAIRS = {
    "pretrained.model.cls_token": "dpt.embeddings.cls_token",
    "pretrained.model.patch_embed.backbone.stem.conv.weight":
        "dpt.embeddings.backbone.bit.embedder.convolution.weight",
    "pretrained.model.patch_embed.backbone.stages.1.blocks.0.downsample.norm.bias":
        "dpt.embeddings.backbone.bit.encoder.stages.1.layers.0.downsample.norm.bias",
    "pretrained.model.blocks.11.norm2.bias": "dpt.encoder.layer.11.layernorm_after.bias",
    "pretrained.model.norm.weight": "dpt.layernorm.weight",
    "pretrained.act_postprocess3.0.project.0.weight": "neck.reassemble_stage.readout_projects.2.0.weight",
    "pretrained.act_postprocess4.4.bias": "neck.reassemble_stage.layers.3.resize.bias",
    "scratch.layer1_rn.weight": "neck.convs.0.weight",
    "scratch.refinenet4.resConfUnit2.conv1.bias": "neck.fusion_stage.layers.0.residual_layer2.convolution1.bias",
    "scratch.refinenet1.out_conv.weight": "neck.fusion_stage.layers.3.projection.weight",
    "scratch.output_conv.4.bias": "head.head.4.bias",
}  # fmt: skip


def new_names(names):
    return [new for each in names.values() for new in each]


def test_every_name_but_those_of_the_classifier_goes_there_and_back():
    new = depth.to_diffusers(NAMES)
    assert NAMES.keys() - new.keys() == CLASSIFIER
    assert len(set(new_names(new))) == len(new_names(new))
    assert depth.to_original(new_names(new)) == new


@pytest.mark.parametrize("name", PAIRS)
def test_names_are_those_of_transformers(name):
    assert depth.to_diffusers([name]) == {name: (PAIRS[name],)}
    assert depth.to_original([PAIRS[name]]) == {name: (PAIRS[name],)}


def test_queries_keys_and_values_are_apart():
    name = "pretrained.model.blocks.3.attn.qkv.bias"
    parts = tuple(f"dpt.encoder.layer.3.attention.attention.{each}.bias" for each in ("query", "key", "value"))
    assert depth.to_diffusers([name]) == {name: parts}
    assert depth.to_original(parts) == {name: parts}
    assert depth.to_original(parts[:2]) == {}


@pytest.mark.parametrize("name", ["strange", "pretrained.act_postprocess1.3.bias", "pretrained.model.blocks.0.strange"])
def test_what_transformers_does_not_know_has_no_name_there(name):
    assert depth.to_diffusers([name]) == {}
    assert depth.to_original([name]) == {}
