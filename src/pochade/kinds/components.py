"""The parts that a file holds, told by how its names begin."""

from collections.abc import Iterable

from pochade.kinds.checkpoint import TRAINING

UNET, VAE, TEXT, TEXT_2, CONTROLNET = "unet", "vae", "text-encoder", "text-encoder-2", "controlnet"
IN_CHECKPOINT = ("model.diffusion_model.", "model_ema.diffusion_model")
_PREFIXES: dict[str, tuple[str, ...]] = {
    UNET: (
        *IN_CHECKPOINT,
        "input_blocks.", "middle_block.", "output_blocks.", "time_embed.",
        "down_blocks.", "mid_block.", "up_blocks.", "time_embedding.",
    ),
    VAE: (
        "first_stage_model.", "quant_conv.", "post_quant_conv.", "decoder.", "encoder.conv", "encoder.norm_out",
        "encoder.down.", "encoder.mid.", "encoder.down_blocks.", "encoder.mid_block.",
    ),
    TEXT: (
        "cond_stage_model.", "conditioner.embedders.0.", "text_model.", "embeddings.", "encoder.layers.",
        "transformer.resblocks.", "token_embedding.", "ln_final.",
    ),
    TEXT_2: ("conditioner.embedders.1.",),
    CONTROLNET: (
        "control_model.", "controlnet_", "input_hint_block.", "zero_convs.", "middle_block_out.", "lora_controlnet",
    ),
    "depth": ("depth_model.",),
    "image-encoder": ("embedder.model.", "noise_augmentor."),
    "low-scale": ("low_scale_model.",),
}  # fmt: skip
_LOOSE: dict[str, tuple[str, ...]] = {
    UNET: (
        "out.0.", "out.2.", "conv_in.", "conv_out.", "conv_norm_out.", "label_emb.", "add_embedding.",
        "class_embedding.",
    ),
    CONTROLNET: ("conv_in.", "label_emb.", "add_embedding.", "class_embedding.", "difference"),
    TEXT: ("final_layer_norm.", "logit_scale", "text_projection", "positional_embedding"),
}  # fmt: skip
"""Names too plain to tell a part, yet at home in one that is there."""


def components(names: Iterable[str]) -> dict[str, list[str]]:
    """Return the names of every part that is there; names at home in no part, and leftovers of training, are left out.

    A ControlNet of its own file is laid out like half a UNet; that half is its own.
    """
    names = [name for name in names if not name.startswith(TRAINING)]
    found: dict[str, list[str]] = {}
    for part, prefixes in _PREFIXES.items():
        if mine := [name for name in names if name.startswith(prefixes)]:
            found[part] = mine
    if CONTROLNET in found and UNET in found:
        unet = found.pop(UNET)
        found[CONTROLNET] += [name for name in unet if not name.startswith(IN_CHECKPOINT)]
        if whole := [name for name in unet if name.startswith(IN_CHECKPOINT)]:
            found = {UNET: whole, **found}
    for part, prefixes in _LOOSE.items():
        if part in found:
            found[part] += [name for name in names if name.startswith(prefixes)]
    return found
