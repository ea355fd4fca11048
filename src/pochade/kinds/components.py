"""The parts that a file holds, told by how its names begin."""

from collections.abc import Iterable

UNET, VAE, TEXT = "unet", "vae", "text-encoder"
_PREFIXES: dict[str, tuple[str, ...]] = {
    UNET: (
        "model.diffusion_model.", "model_ema.diffusion_model",
        "input_blocks.", "middle_block.", "output_blocks.", "time_embed.",
        "down_blocks.", "mid_block.", "up_blocks.", "time_embedding.",
    ),
    VAE: (
        "first_stage_model.", "quant_conv.", "post_quant_conv.", "decoder.", "encoder.conv", "encoder.norm_out",
        "encoder.down.", "encoder.mid.", "encoder.down_blocks.", "encoder.mid_block.",
    ),
    TEXT: ("cond_stage_model.", "conditioner.embedders.0.", "text_model.", "embeddings.", "encoder.layers."),
    "text-encoder-2": ("conditioner.embedders.1.",),
    "controlnet": ("control_model.", "controlnet_", "input_hint_block.", "zero_convs.", "lora_controlnet"),
    "depth": ("depth_model.",),
    "image-encoder": ("embedder.model.", "noise_augmentor."),
    "low-scale": ("low_scale_model.",),
}  # fmt: skip
_LOOSE: dict[str, tuple[str, ...]] = {
    UNET: ("out.0.", "out.2.", "conv_in.", "conv_out.", "conv_norm_out.", "label_emb.", "add_embedding."),
    TEXT: ("final_layer_norm.", "logit_scale", "text_projection"),
}
"""Names too plain to tell a part, yet at home in one that is there."""


def components(names: Iterable[str]) -> dict[str, list[str]]:
    """Return the names of every part that is there; names at home in no part are left out."""
    names = list(names)
    found: dict[str, list[str]] = {}
    for part, prefixes in _PREFIXES.items():
        if mine := [name for name in names if name.startswith(prefixes)]:
            found[part] = mine
    for part, prefixes in _LOOSE.items():
        if part in found:
            found[part] += [name for name in names if name.startswith(prefixes)]
    return found
