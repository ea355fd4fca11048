"""Stable Diffusion 2.x: one OpenCLIP-H text encoder, attention heads 64 wide, linear projections.

The 512 base predicts the noise and the 768 model predicts v; their tensors have the same names and shapes.
"""

from pochade.families.family import Family, TextEncoder, Variant

SD2 = Family(
    name="sd2",
    title="Stable Diffusion 2.x",
    kohya_name="sd_v2",
    projection_rank=2,
    deep=False,
    classes=None,
    # the files hold a 24th layer that was trained and is not used; A1111 lets no clip skip reach the others
    encoders=(TextEncoder("cond_stage_model.model.", "openclip", 1024, 23, heeds_skip="never"),),
    context_width=1024,
    latent_scale=0.18215,
    resolution=768,
    epsilon_resolution=512,
    variants=(
        Variant("unclip-h", classes=2, prediction="v", pipeline="StableUnCLIPImg2ImgPipeline"),
        Variant(
            "unclip-l", classes=1.5, prediction="v", pipeline="StableUnCLIPImg2ImgPipeline", quick_gelu=True,
        ),
        Variant("base", prediction=None),
        Variant("depth", 5, pipeline="StableDiffusionDepth2ImgPipeline", resolution=512),
        Variant(
            "x4-upscaler", 7, prediction="v", pipeline="StableDiffusionUpscalePipeline",
            heads=8, latent_scale=0.08333, resolution=512, betas=(0.0001, 0.02), noises_picture=True,
        ),
        Variant("instruct-pix2pix", 8, pipeline="StableDiffusionInstructPix2PixPipeline"),
        Variant("inpainting", 9, pipeline="StableDiffusionInpaintPipeline", resolution=512),
    ),
)  # fmt: skip
