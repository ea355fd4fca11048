"""Stable Diffusion 1.x: one CLIP-L text encoder, eight attention heads at every level of the UNet."""

from types import MappingProxyType

from pochade.families.family import Family

SD1 = Family(
    name="sd1",
    title="Stable Diffusion 1.x",
    unet_prefix="model.diffusion_model.",
    vae_prefix="first_stage_model.",
    text_prefix="cond_stage_model.transformer.",
    heads=8,
    text_head_width=64,
    latent_scale=0.18215,
    latent_channels=4,
    downscale=8,
    beta_start=0.00085,
    beta_end=0.012,
    prediction="epsilon",
    resolution=512,
    projection_rank=4,
    context_width=768,
    text_layers=12,
    foreign_prefixes=(
        "conditioner.",
        "cond_stage_model.model.",
        "model.diffusion_model.label_emb.",
        "control_model.label_emb.",
        "label_emb.",
        "add_embedding.",
        "class_embedding.",
    ),
    variants=MappingProxyType({4: "base", 8: "instruct-pix2pix", 9: "inpainting"}),
)
