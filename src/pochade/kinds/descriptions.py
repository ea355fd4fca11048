"""The descriptions in a diffusers folder: how each part is built, read from its tensors' names and shapes."""

import re
from collections.abc import Mapping
from math import gcd
from typing import Any, TypeAlias

from pochade.families import Family, TextEncoder, Variant
from pochade.families.family import Prediction
from pochade.files import Weights
from pochade.files.folders import INDEX
from pochade.kinds.components import CONTROLNET, UNET, VAE
from pochade.kinds.prediction import ZERO_SNR_MARKER
from pochade.kinds.resolution import resolution_of

Table: TypeAlias = dict[str, Any]
Shapes: TypeAlias = Mapping[str, tuple[int, ...]]

VERSION = "0.20.0"  # the release of diffusers whose folders these are; later ones read them too
_BLOCK = re.compile(r"transformer_blocks\.(\d{1,4})\.")
GROUPS = 32
HEAD_WIDTH = 64
_TIME_WIDTH = 256
_HINT_STEPS = ("blocks.1", "blocks.3", "blocks.5")
_SCHEDULER, _NOISER = "DDIMScheduler", "DDPMScheduler"


def describe(parts: Mapping[str, Weights], family: Family, whole: Weights, prediction: Prediction) -> dict[str, Table]:
    """Return the descriptions by part, of a folder with these parts in diffusers' names, and its index.

    A UNet, VAE or ControlNet alone has no index.
    """
    variant = family.branch(whole.shapes()) or Variant("base")
    side = max(resolution_of(whole, family)) // family.downscale
    described: dict[str, Table] = {}
    if UNET in parts:
        described[UNET] = _unet(parts[UNET].shapes(), family, variant, side)
    if CONTROLNET in parts:
        described[CONTROLNET] = _controlnet(parts[CONTROLNET].shapes(), family, variant)
    if VAE in parts:
        described[VAE] = _vae(parts[VAE].shapes(), variant.latent_scale or family.latent_scale, side)
    for encoder in family.encoders:
        if encoder.folder in parts:
            described[encoder.folder] = _text(parts[encoder.folder].shapes(), encoder)
    if len(parts) == 1:
        return described
    described["scheduler"] = _scheduler(family, variant, prediction, ZERO_SNR_MARKER in whole)
    if variant.noises_picture:
        described["low_res_scheduler"] = described["scheduler"] | {"_class_name": _NOISER, "prediction_type": "epsilon"}
    return described | {INDEX: _index(family, variant, parts)}


def _index(family: Family, variant: Variant, parts: Mapping[str, Weights]) -> Table:
    """Every part's library and class; null for parts that a plain loader expects and the checkpoint has not."""
    table: Table = {"_class_name": variant.pipeline, "_diffusers_version": VERSION}
    if "score" in family.told:
        table["requires_aesthetics_score"] = True
    table["scheduler"] = ["diffusers", _SCHEDULER]
    if variant.noises_picture:
        table["low_res_scheduler"] = ["diffusers", _NOISER]
    for part, name in ((UNET, "UNet2DConditionModel"), (VAE, "AutoencoderKL")):
        table[part] = ["diffusers", name] if part in parts else [None, None]
    if CONTROLNET in parts:
        table[CONTROLNET] = ["diffusers", "ControlNetModel"]
    for encoder in family.encoders:
        has = encoder.folder in parts
        table[encoder.folder] = ["transformers", _text_class(encoder)] if has else [None, None]
        table[encoder.folder.replace("text_encoder", "tokenizer")] = ["transformers", "CLIPTokenizer"]
    absent = ("text_encoder", "tokenizer") if family.deep else ("safety_checker", "feature_extractor")
    return table | {name: [None, None] for name in absent if name not in table}


def _text_class(encoder: TextEncoder) -> str:
    return "CLIPTextModelWithProjection" if encoder.folder == "text_encoder_2" else "CLIPTextModel"


def _unet(shapes: Shapes, family: Family, variant: Variant, side: int) -> Table:
    table = _half(shapes, family, variant)
    types = ["CrossAttnUpBlock2D" if "Cross" in each else "UpBlock2D" for each in reversed(table["down_block_types"])]
    return table | {
        "_class_name": "UNet2DConditionModel",
        "sample_size": side,
        "out_channels": shapes["conv_out.weight"][0],
        "up_block_types": types,
    }


def _controlnet(shapes: Shapes, family: Family, variant: Variant) -> Table:
    widths = [shapes[f"controlnet_cond_embedding.{name}.weight"][0] for name in ("conv_in", *_HINT_STEPS)]
    own = {"_class_name": "ControlNetModel", "conditioning_embedding_out_channels": widths}
    return _half(shapes, family, variant) | own


def _half(shapes: Shapes, family: Family, variant: Variant) -> Table:
    """What UNet and ControlNet share: the levels on the way down."""
    levels = count(shapes, "down_blocks.{}.resnets.0.norm1.weight")
    widths = [shapes[f"down_blocks.{level}.resnets.0.conv1.weight"][0] for level in range(levels)]
    attends = [f"down_blocks.{level}.attentions.0.norm.weight" in shapes for level in range(levels)]
    table: Table = {
        "_class_name": "",
        "_diffusers_version": VERSION,
        "in_channels": shapes["conv_in.weight"][1],
        "block_out_channels": widths,
        "down_block_types": ["CrossAttnDownBlock2D" if each else "DownBlock2D" for each in attends],
        "layers_per_block": count(shapes, "down_blocks.0.resnets.{}.norm1.weight"),
        "norm_num_groups": gcd(GROUPS, *widths),
        "cross_attention_dim": next(
            (shape[1] for name, shape in shapes.items() if name.endswith("attn2.to_k.weight")), family.context_width
        ),
        "attention_head_dim": variant.heads or family.heads or [max(1, width // HEAD_WIDTH) for width in widths],
        "use_linear_projection": family.projection_rank == 2,
    }
    depths = [_depth(shapes, f"down_blocks.{level}.") or _depth(shapes, "mid_block.") for level in range(levels)]
    if max(depths, default=0) > 1:
        table["transformer_layers_per_block"] = depths
    if any(looks := [_looks_at_text_alone(shapes, level) for level in range(levels)]):
        table["only_cross_attention"] = looks
    return table | _class_embedding(shapes)


def _class_embedding(shapes: Shapes) -> Table:
    """How a UNet is told a noise level, an image's embedding, or sizes and crops."""
    if "class_embedding.weight" in shapes:
        return {"num_class_embeds": shapes["class_embedding.weight"][0]}
    if "class_embedding.linear_1.weight" in shapes:
        width = shapes["class_embedding.linear_1.weight"][1]
        return {"class_embed_type": "projection", "projection_class_embeddings_input_dim": width}
    if "add_embedding.linear_1.weight" in shapes:
        width = shapes["add_embedding.linear_1.weight"][1]
        return {
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": _TIME_WIDTH,
            "projection_class_embeddings_input_dim": width,
        }
    return {}


def _looks_at_text_alone(shapes: Shapes, level: int) -> bool:
    """Tell whether even the first attention of a level's transformers reads the text: its keys are as wide as that."""
    place = f"down_blocks.{level}.attentions.0.transformer_blocks.0"
    keys = shapes.get(f"{place}.attn1.to_k.weight", (0, 0))
    return keys[0] != keys[1]


def _depth(shapes: Shapes, start: str) -> int:
    return max(
        (int(found[1]) + 1 for name in shapes if name.startswith(start) and (found := _BLOCK.search(name))), default=0
    )


def count(shapes: Shapes, name: str) -> int:
    """Return how many numbers, from 0 on, can stand in a name."""
    found = 0
    while name.format(found) in shapes:
        found += 1
    return found


def _vae(shapes: Shapes, scale: float, side: int) -> Table:
    levels = count(shapes, "encoder.down_blocks.{}.resnets.0.norm1.weight")
    widths = [shapes[f"encoder.down_blocks.{level}.resnets.0.conv1.weight"][0] for level in range(levels)]
    return {
        "_class_name": "AutoencoderKL",
        "_diffusers_version": VERSION,
        "sample_size": side * 2 ** (levels - 1),
        "in_channels": shapes["encoder.conv_in.weight"][1],
        "out_channels": shapes["decoder.conv_out.weight"][0],
        "block_out_channels": widths,
        "down_block_types": ["DownEncoderBlock2D"] * levels,
        "up_block_types": ["UpDecoderBlock2D"] * levels,
        "layers_per_block": count(shapes, "encoder.down_blocks.0.resnets.{}.norm1.weight"),
        "latent_channels": shapes["post_quant_conv.weight"][0],
        "norm_num_groups": gcd(GROUPS, widths[0]),
        "act_fn": "silu",
        "scaling_factor": scale,
    }


def _text(shapes: Shapes, encoder: TextEncoder) -> Table:
    vocabulary, width = shapes["text_model.embeddings.token_embedding.weight"]
    inner = shapes["text_model.encoder.layers.0.mlp.fc1.weight"][0]
    return {
        "architectures": [_text_class(encoder)],
        "model_type": "clip_text_model",
        "vocab_size": vocabulary,
        "hidden_size": width,
        "intermediate_size": inner,
        "num_hidden_layers": count(shapes, "text_model.encoder.layers.{}.layer_norm1.weight"),
        "num_attention_heads": max(1, width // encoder.head_width),
        "max_position_embeddings": shapes["text_model.embeddings.position_embedding.weight"][0],
        "hidden_act": "quick_gelu" if encoder.layout == "clip" else "gelu",
        "layer_norm_eps": 1e-05,
        "projection_dim": shapes.get("text_projection.weight", (width,))[0],
        "bos_token_id": 0,
        "eos_token_id": 2,  # transformers takes this number as "the highest id", which is where CLIP's sentence ends
        "pad_token_id": 1,
    }


def _scheduler(family: Family, variant: Variant, prediction: Prediction, reaches_zero: bool) -> Table:
    first, last = variant.betas or (family.beta_start, family.beta_end)
    return {
        "_class_name": _SCHEDULER,
        "_diffusers_version": VERSION,
        "num_train_timesteps": 1000,
        "beta_start": first,
        "beta_end": last,
        "beta_schedule": "scaled_linear",
        "prediction_type": "v_prediction" if prediction == "v" else "epsilon",
        "rescale_betas_zero_snr": reaches_zero,
        "clip_sample": False,
        "set_alpha_to_one": False,
        "steps_offset": 1,
        "timestep_spacing": "leading",
    }
