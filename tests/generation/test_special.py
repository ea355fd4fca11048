"""Special checkpoints draw as diffusers does, the whole way: masks, depth, edits, enlarging, and what one shows."""

import numpy as np
import pytest
import torch
from PIL import Image

from pochade.operations.convert import convert
from tests.generation.oracle import PROMPT, RUN, SIZE, Beginning, apart, drawing_of, photo, pixels, theirs, unit_noise

pytestmark = pytest.mark.filterwarnings("ignore")

LEAVES_OUT = {0: 1.0, 2: 0.75}
"""How many of the ten steps A1111 leaves out at a strength."""


@pytest.fixture(scope="module")
def folders(special_models):
    """Each model as a diffusers folder, made on first use."""

    def folder(name):
        file = special_models(name).model.path
        place = file.with_suffix("")
        return place if place.exists() else convert(file, place)

    return folder


def ours(pipeline, image, **settings):
    return pixels(pipeline.img2img(PROMPT, image, **RUN, **settings))


def close(one, other):
    assert one.shape == other.shape
    assert np.abs(one - other).max() <= 1
    assert one.std() > 20  # a picture, and few of its values clip
    assert ((one == 0) | (one == 255)).mean() < 0.3


MASK = Image.fromarray(np.pad(np.full((32, 64), 255, np.uint8), ((16, 16), (40, 24))))
LATENT_MASK = torch.from_numpy(np.asarray(MASK)[::8, ::8] / 255)[None, None]


def inpainted(name):
    import diffusers

    return diffusers.StableDiffusionXLInpaintPipeline if "xl" in name else diffusers.StableDiffusionInpaintPipeline


@pytest.mark.parametrize(
    ("name", "skipped"), [("sd1-inpainting", 0), ("sd1-inpainting", 2), ("sd2-inpainting", 0), ("sdxl-inpainting", 0)]
)
def test_inpainting_models_draw_as_diffusers(special_models, folders, name, skipped):
    image = photo()
    drawing = drawing_of(inpainted(name), folders(name))
    begin = Beginning.of(drawing, image, skipped)
    expected = theirs(
        drawing,
        image=image,
        mask_image=MASK,
        width=SIZE[0],
        height=SIZE[1],
        latents=begin.scaled,
        strength=1 - skipped / 10,
        callback_on_step_end=begin.keeping(LATENT_MASK),
    )
    drawn = ours(special_models(name), image, mask=MASK, mask_blur=0, paste_back=False, strength=LEAVES_OUT[skipped])
    close(drawn, expected)


def test_an_inpainting_model_without_a_picture_sees_grey_under_a_full_mask(special_models, folders):
    from diffusers import StableDiffusionInpaintPipeline

    drawing = drawing_of(StableDiffusionInpaintPipeline, folders("sd1-inpainting"))
    grey = torch.zeros(1, 3, SIZE[1], SIZE[0])
    full = torch.ones(1, 1, SIZE[1], SIZE[0])
    expected = theirs(
        drawing, image=grey, mask_image=full, width=SIZE[0], height=SIZE[1], latents=unit_noise(4, 8, 16), strength=1.0
    )
    drawn = special_models("sd1-inpainting").txt2img(PROMPT, **RUN, width=SIZE[0], height=SIZE[1])
    close(pixels(drawn), expected)


@pytest.mark.parametrize("given", [True, False], ids=["given", "estimated"])
def test_depth_models_draw_as_diffusers(special_models, folders, given):
    from diffusers import StableDiffusionDepth2ImgPipeline

    image = photo((128, 64) if given else (64, 64))  # their estimator makes everything square
    depth = photo(seed=5).convert("L") if given else None
    drawing = drawing_of(StableDiffusionDepth2ImgPipeline, folders("sd2-depth"))
    begin = Beginning.of(drawing, image, skipped=2)
    drawing.prepare_latents = lambda *others: begin.latents
    told = {"depth_map": torch.from_numpy(np.asarray(depth) / np.float32(255))[None]} if depth else {}
    expected = theirs(drawing, image=image, strength=0.8, **told)
    settings = RUN | {"strength": LEAVES_OUT[2]}
    close(pixels(special_models("sd2-depth").img2img(PROMPT, image, depth=depth, **settings)), expected)


@pytest.mark.parametrize(("name", "image_cfg"), [("ip2p", 1.0), ("ip2p", 1.5), ("ip2p-xl", 1.5)])
def test_models_that_edit_by_instruction_draw_as_diffusers(special_models, folders, name, image_cfg):
    import diffusers

    kind = "StableDiffusionXLInstructPix2PixPipeline" if "xl" in name else "StableDiffusionInstructPix2PixPipeline"
    drawing = drawing_of(getattr(diffusers, kind), folders(name))
    image = photo()
    size = {"width": SIZE[0], "height": SIZE[1]} if "xl" in name else {}
    begin = Beginning.of(drawing, image)
    expected = theirs(drawing, image=image, image_guidance_scale=image_cfg, latents=begin.scaled, **size)
    close(ours(special_models(name), image, strength=1.0, image_cfg=image_cfg), expected)


@pytest.mark.parametrize("level", [20, 350])
def test_the_upscaler_draws_as_diffusers(special_models, folders, level):
    from diffusers import StableDiffusionUpscalePipeline

    drawing = drawing_of(StableDiffusionUpscalePipeline, folders("x4-upscaler"))
    small = photo((32, 16))
    run = {"noise_level": level, "latents": unit_noise(4, 16, 32), "generator": apart()}
    expected = theirs(drawing, image=small, **run)
    close(ours(special_models("x4-upscaler"), small, noise_level=level), expected)


@pytest.mark.parametrize(("name", "level"), [("unclip-h", 0), ("unclip-h", 300), ("unclip-l", 0), ("unclip-l", 999)])
def test_models_that_look_at_a_picture_draw_as_diffusers(special_models, folders, name, level):
    from diffusers import StableUnCLIPImg2ImgPipeline

    drawing = drawing_of(StableUnCLIPImg2ImgPipeline, folders(name))
    image = photo((64, 64))  # what their encoder takes as it is
    begin = Beginning.of(drawing, image)
    run = {"noise_level": level, "latents": begin.latents, "generator": apart()}
    expected = theirs(drawing, image=image, width=64, height=64, **run)
    close(ours(special_models(name), image, strength=1.0, noise_level=level), expected)


def test_the_refiner_draws_over_a_picture_as_diffusers(special_models, folders):
    from diffusers import StableDiffusionXLImg2ImgPipeline

    drawing = drawing_of(StableDiffusionXLImg2ImgPipeline, folders("sdxl-refiner"))
    image = photo()
    begin = Beginning.of(drawing, image, skipped=2)
    expected = theirs(drawing, image=image, strength=0.8, latents=begin.latents)
    close(ours(special_models("sdxl-refiner"), image, strength=LEAVES_OUT[2]), expected)
