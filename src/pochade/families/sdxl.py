"""Stable Diffusion XL: the base with two text encoders and three levels, the refiner with one and four."""

from dataclasses import replace

from pochade.families import previews
from pochade.families.family import Family, TextEncoder, Variant

_PIX2PIX = Variant("instruct-pix2pix", 8, pipeline="StableDiffusionXLInstructPix2PixPipeline")
_INPAINTING = Variant("inpainting", 9, pipeline="StableDiffusionXLInpaintPipeline")
# sdxl_vae.safetensors as published with the models, and its form for half precision (sdxl-vae-fp16-fix)
_VAES = ("63aeecb90f", "235745af8d")
# the UNets were trained on the layer before the last, without a norm
_BIG_G = TextEncoder(
    "conditioner.embedders.1.model.", "openclip", 1280, 32,
    folder="text_encoder_2", skip=2, normed=False, heeds_skip="never", pooled=True,
)  # fmt: skip
_CLIP_L = TextEncoder(
    "conditioner.embedders.0.transformer.", "clip", 768, 12, skip=2, normed=False, heeds_skip="when asked"
)

SDXL = Family(
    name="sdxl",
    title="Stable Diffusion XL",
    kohya_name="sdxl_base_v1-0",
    projection_rank=2,
    deep=True,
    classes=True,
    fourth_level=False,
    encoders=(_CLIP_L, _BIG_G),
    context_width=2048,
    latent_scale=0.13025,
    resolution=1024,
    told=("size", "crop", "target"),
    zero_negative=True,
    aligned="sdxl",
    vaes=_VAES,
    preview=previews.SDXL,
    variants=(Variant("base", pipeline="StableDiffusionXLPipeline"), _PIX2PIX, _INPAINTING),
)

SDXL_REFINER = Family(
    name="sdxl-refiner",
    title="Stable Diffusion XL refiner",
    kohya_name="sdxl_base_v1-0",
    projection_rank=2,
    deep=True,
    classes=True,
    fourth_level=True,
    encoders=(replace(_BIG_G, prefix="conditioner.embedders.0.model."),),
    context_width=1280,
    latent_scale=0.13025,
    resolution=1024,
    told=("size", "crop", "score"),
    zero_negative=True,
    aligned="sdxl",
    vaes=_VAES,
    preview=previews.SDXL,
    variants=(Variant("base", pipeline="StableDiffusionXLImg2ImgPipeline"), _PIX2PIX, _INPAINTING),
)
