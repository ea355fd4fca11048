"""Stable Diffusion XL: the base with two text encoders and three levels, the refiner with one and four."""

from pochade.families.family import Family, TextEncoder, Variant

_PIX2PIX = Variant("instruct-pix2pix", 8, pipeline="StableDiffusionXLInstructPix2PixPipeline")
_INPAINTING = Variant("inpainting", 9, pipeline="StableDiffusionXLInpaintPipeline")
_SECOND = "text_encoder_2"

SDXL = Family(
    name="sdxl",
    title="Stable Diffusion XL",
    kohya_name="sdxl_base_v1-0",
    projection_rank=2,
    deep=True,
    classes=True,
    fourth_level=False,
    encoders=(
        TextEncoder("conditioner.embedders.0.transformer.", "clip", 768, 12),
        TextEncoder("conditioner.embedders.1.model.", "openclip", 1280, 32, folder=_SECOND),
    ),
    context_width=2048,
    latent_scale=0.13025,
    resolution=1024,
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
    encoders=(TextEncoder("conditioner.embedders.0.model.", "openclip", 1280, 32, folder=_SECOND),),
    context_width=1280,
    latent_scale=0.13025,
    resolution=1024,
    variants=(Variant("base", pipeline="StableDiffusionXLImg2ImgPipeline"), _PIX2PIX, _INPAINTING),
)
