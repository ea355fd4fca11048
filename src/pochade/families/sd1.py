"""Stable Diffusion 1.x: one CLIP-L text encoder, eight attention heads at every level of the UNet."""

from pochade.families.family import Family, TextEncoder, Variant

SD1 = Family(
    name="sd1",
    title="Stable Diffusion 1.x",
    kohya_name="sd_v1",
    projection_rank=4,
    deep=False,
    classes=False,
    heads=8,
    encoders=(TextEncoder("cond_stage_model.transformer.", "clip", 768, 12),),
    context_width=768,
    latent_scale=0.18215,
    resolution=512,
    vaes=("735e4c3a44", "c6a580b13a"),  # vae-ft-mse-840000-ema-pruned, .safetensors and .ckpt; SD 2 uses them too
    variants=(
        Variant("base"),
        Variant("instruct-pix2pix", 8, pipeline="StableDiffusionInstructPix2PixPipeline"),
        Variant("inpainting", 9, pipeline="StableDiffusionInpaintPipeline"),
    ),
)
