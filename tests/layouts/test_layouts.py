"""Names translate to those that diffusers' own converter gives, and back."""

import pytest

from pochade.layouts import text, unet, vae

from ..families.manifests import manifest, part, shapes

PARTS = {
    "unet": (unet, "model.diffusion_model."),
    "vae": (vae, "first_stage_model."),
    "text_encoder": (text, "cond_stage_model.transformer."),
}
CONVERTED = manifest("sd15.diffusers")["components"]
ORIGINAL = shapes("sd15.ldm")


def pairs(component):
    """From original to diffusers names, as recorded."""
    prefix = PARTS[component][1]
    return {source.removeprefix(prefix): name for name, (_, _, source) in CONVERTED[component].items()}


@pytest.mark.parametrize("component", PARTS)
def test_sd15_goes_to_diffusers_and_back(component):
    layout, wanted = PARTS[component][0], pairs(component)
    assert layout.to_diffusers(wanted) == wanted
    assert layout.to_original(wanted.values()) == {new: old for old, new in wanted.items()}


def test_sdxl_has_other_levels_and_is_read_from_its_names():
    names = part(shapes("sdxl-base.ldm"), "model.diffusion_model.")
    new = unet.to_diffusers(names)
    assert new["input_blocks.7.1.transformer_blocks.9.attn2.to_k.weight"].startswith("down_blocks.2.attentions.0.")
    assert new["output_blocks.2.2.conv.weight"] == "up_blocks.0.upsamplers.0.conv.weight"
    assert unet.to_original(new.values()) == {after: before for before, after in new.items()}


@pytest.mark.parametrize("levels", [1, 2, 3, 5])
@pytest.mark.parametrize("resnets", [1, 2, 3])
@pytest.mark.parametrize("attentive", ["none", "all", "first"])
def test_any_count_of_levels_and_blocks_is_reversible(levels, resnets, attentive):
    names = []
    for level in range(levels):
        attention = attentive == "all" or (attentive == "first" and level == 0)
        for side, count, sampler in (("down", resnets, "downsamplers"), ("up", resnets + 1, "upsamplers")):
            place = level if side == "down" else levels - 1 - level
            for index in range(count):
                names.append(f"{side}_blocks.{place}.resnets.{index}.conv1.weight")
                if attention:
                    names.append(f"{side}_blocks.{place}.attentions.{index}.norm.weight")
            if level < levels - 1 and side == "down":
                names.append(f"down_blocks.{place}.{sampler}.0.conv.weight")
            if level > 0 and side == "up":
                names.append(f"up_blocks.{place}.{sampler}.0.conv.weight")
    old = unet.to_original(names)
    assert len(set(old.values())) == len(names)
    assert all(name.startswith(("input_blocks.", "output_blocks.")) for name in old.values())
    assert unet.to_diffusers(old.values()) == {before: after for after, before in old.items()}


def test_vae_levels_of_the_decoder_are_reversed_for_any_depth():
    old = [
        "decoder.up.2.block.0.conv1.weight",
        "decoder.up.0.block.0.conv1.weight",
        "encoder.down.2.block.1.norm1.bias",
    ]
    new = vae.to_diffusers(old)
    assert new[old[0]] == "decoder.up_blocks.0.resnets.0.conv1.weight"
    assert new[old[1]] == "decoder.up_blocks.2.resnets.0.conv1.weight"
    assert vae.to_original(new.values()) == {after: before for before, after in new.items()}


def test_old_diffusers_names_of_the_vae_are_understood():
    names = ["encoder.mid_block.attentions.0.query.weight", "decoder.mid_block.attentions.0.proj_attn.bias"]
    assert list(vae.to_original(names).values()) == ["encoder.mid.attn_1.q.weight", "decoder.mid.attn_1.proj_out.bias"]


def test_exactly_the_projections_of_the_vae_change_shape():
    for name, (_, shape, source) in CONVERTED["vae"].items():
        changes = tuple(shape) != ORIGINAL[source]
        assert vae.is_projection(name) is vae.is_projection(source.removeprefix("first_stage_model.")) is changes


def test_text_names_without_their_outer_module_are_completed():
    assert text.to_diffusers(["encoder.layers.0.mlp.fc1.bias"]) == {
        "encoder.layers.0.mlp.fc1.bias": "text_model.encoder.layers.0.mlp.fc1.bias"
    }


def test_text_names_without_their_outer_module_are_told_and_given_back():
    assert text.is_bare("final_layer_norm.bias")
    assert not text.is_bare("text_model.final_layer_norm.bias")
    assert text.bare("text_model.final_layer_norm.bias") == "final_layer_norm.bias"


def test_names_of_nothing_known_stay():
    assert unet.to_diffusers(["strange.weight"]) == {"strange.weight": "strange.weight"}
    assert vae.to_original([]) == {}


def test_numbers_in_names_cost_nothing():
    names = ["encoder.down_blocks.9999.resnets.9999.x", f"encoder.down_blocks.{'9' * 5000}.resnets.0.x"]
    assert list(vae.to_original(names).values()) == ["encoder.down.9999.block.9999.x", names[1]]


def test_levels_of_a_decoder_alone_are_turned_round():
    names = ["decoder.up_blocks.0.resnets.2.conv1.weight", "decoder.up_blocks.3.resnets.0.conv1.weight"]
    assert list(vae.to_original(names).values()) == [
        "decoder.up.3.block.2.conv1.weight", "decoder.up.0.block.0.conv1.weight",
    ]  # fmt: skip
