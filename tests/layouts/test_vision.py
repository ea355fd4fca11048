"""Names of CLIP's encoders: every true name has its place in diffusers, and comes back."""

import pytest

from pochade.layouts import openclip, vision

from ..families.manifests import manifest, part, shapes

IMAGE = "embedder.model.visual."


def new_names(names):
    return [new for each in names.values() for new in each]


@pytest.mark.parametrize("family", ["unclip-h", "unclip-l"])
def test_every_name_of_an_image_encoder_goes_there_and_back(family):
    names = part(shapes(f"{family}.ldm"), IMAGE)
    new = vision.to_diffusers(names)
    assert list(new) == list(names)
    assert len(set(new_names(new))) == len(new_names(new))
    assert vision.to_original(new_names(new)) == new


def test_names_of_an_image_encoder_are_those_of_transformers():
    told = vision.to_diffusers(["proj", "ln_pre.bias", "transformer.resblocks.31.attn.in_proj_bias", "conv1.weight"])
    assert told == {
        "proj": ("visual_projection.weight",),
        "ln_pre.bias": ("vision_model.pre_layrnorm.bias",),
        "transformer.resblocks.31.attn.in_proj_bias": tuple(
            f"vision_model.encoder.layers.31.self_attn.{each}_proj.bias" for each in "qkv"
        ),
        "conv1.weight": ("vision_model.embeddings.patch_embedding.weight",),
    }


@pytest.mark.parametrize("layout", [openclip, vision])
@pytest.mark.parametrize(
    "name", ["strange", "transformer.resblocks.0.attn.strange", "transformer.resblocks.99999.ln_1.bias", "conv1"]
)
def test_what_diffusers_does_not_know_has_no_name_there(layout, name):
    assert layout.to_diffusers([name]) == {}


def test_a_projection_of_which_a_third_is_missing_is_not_put_together():
    place = "vision_model.encoder.layers.0"
    names = [f"{place}.self_attn.{each}_proj.weight" for each in "qk"] + [f"{place}.mlp.fc1.bias", "strange"]
    assert vision.to_original(names) == {"transformer.resblocks.0.mlp.c_fc.bias": (f"{place}.mlp.fc1.bias",)}


def test_names_of_the_text_encoder_are_those_of_diffusers_converter():
    converted = manifest("sd2-v.diffusers")["components"]["text_encoder"]
    old = {source.removeprefix("cond_stage_model.model.") for _, _, source in converted.values()}
    new = openclip.to_diffusers(old)
    assert set(new_names(new)) == {name for name in converted if not name.endswith("position_ids")}
    assert openclip.to_original(new_names(new)) == new
