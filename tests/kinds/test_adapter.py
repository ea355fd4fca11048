"""Modules of LoRA files find their tensors, whatever their names; all real files do so completely."""

import numpy as np
import pytest

from pochade.families import SD1, SD2, SDXL
from pochade.files import Weights
from pochade.kinds.adapter import Target, modules_of, targets

from ..families.manifests import narrow, shapes


def weights_of(name):
    return Weights.from_arrays({each: np.zeros(shape) for each, shape in narrow(shapes(name), 2).items()})


@pytest.mark.parametrize(
    ("lora", "model", "family", "count"),
    [
        ("lora-kohya-sd15-r8", "sd15", SD1, 264),
        ("locon-kohya-sd15-r8c4", "sd15", SD1, 350),
        ("lora-kohya-sd21-r8", "sd2-base", SD2, 330),
        ("lora-kohya-sdxl-r8", "sdxl-base", SDXL, 986),
        ("lora-kohya-sdxl-r8c4", "sdxl-base", SDXL, None),
        ("lyco-locon-norm-sd15", "sd15", SD1, None),
        ("lyco-full-sd15", "nai", SD1, None),
        ("lyco-ia3-sd15", "sd15", SD1, None),
    ],
)
def test_every_module_of_real_files_has_its_place(lora, model, family, count):
    modules = modules_of(weights_of(lora))
    places = targets(shapes(f"{model}.ldm"), family)
    assert not [module for module in modules if module not in places]
    assert count in (None, len(modules))
    assert len({places[module] for module in modules}) == len(modules)


def test_packed_projections_are_told_apart():
    places = targets(shapes("sd2-base.ldm"), SD2)
    packed = "cond_stage_model.model.transformer.resblocks.5.attn.in_proj_weight"
    for third, name in enumerate("qkv"):
        assert places[f"lora_te_text_model_encoder_layers_5_self_attn_{name}_proj"] == Target(packed, third)


@pytest.mark.parametrize(
    ("name", "module", "suffix"),
    [
        (
            "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q.lora_A.weight",
            "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q", "lora_down.weight",
        ),
        (
            "mid_block.attentions.0.proj_in.lora.up.weight",
            "lora_unet_mid_block_attentions_0_proj_in", "lora_up.weight",
        ),
        (
            "unet.mid_block.attentions.0.transformer_blocks.0.attn2.processor.to_out_lora.down.weight",
            "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_out_0", "lora_down.weight",
        ),
        (
            "text_encoder.text_model.encoder.layers.3.self_attn.q_proj.lora_linear_layer.up.weight",
            "lora_te_text_model_encoder_layers_3_self_attn_q_proj", "lora_up.weight",
        ),
        (
            "text_encoder.encoder.layers.3.mlp.fc1.lora_B.default.weight",
            "lora_te_text_model_encoder_layers_3_mlp_fc1", "lora_up.weight",
        ),
        ("unet.conv_in.alpha", "lora_unet_conv_in", "alpha"),
        ("unet.conv_in.lora_magnitude_vector", "lora_unet_conv_in", "dora_scale"),
        (
            "oft_unet_mid_block_attentions_0_proj_in.oft_blocks",
            "lora_unet_mid_block_attentions_0_proj_in", "oft_blocks",
        ),
    ],
)  # fmt: skip
def test_other_namings_are_read_as_kohya_s(name, module, suffix):
    assert list(modules_of(Weights.from_arrays({name: np.ones(2)}))) == [module]
    assert list(modules_of(Weights.from_arrays({name: np.ones(2)}))[module]) == [suffix]


def test_two_text_encoders_are_numbered():
    names = ("text_encoder.text_model.x.lora_A.weight", "text_encoder_2.text_model.x.lora_A.weight")
    found = modules_of(Weights.from_arrays(dict.fromkeys(names, np.ones(2))))
    assert list(found) == ["lora_te1_text_model_x", "lora_te2_text_model_x"]


def test_peft_s_lengths_under_kohya_s_name_are_read():
    arrays = {"lora_unet_x.lora_magnitude_vector": np.ones(4), "lora_unet_x.lora_down.weight": np.ones((2, 3, 1, 1))}
    assert modules_of(Weights.from_arrays(arrays))["lora_unet_x"]["dora_scale"].info.shape == (4, 1, 1, 1)
    odd = {"lora_unet_lora_magnitude_vector.alpha": np.ones(())}
    assert list(modules_of(Weights.from_arrays(odd))) == ["lora_unet_lora_magnitude_vector"]
