from dataclasses import replace

import pytest

from pochade.generation.parameters.fields import describe, parameters_of, recall
from pochade.generation.parameters.picture_fields import RunFacts
from pochade.generation.request import Request

OVER = Request("a cat", image="cat.png", model="m.safetensors", steps=20, sampler="Euler", seed=1, width=64, height=64)
MASKED = replace(OVER, mask="mask.png")


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (OVER, {"Denoising strength": 0.75, "Mask blur": None, "Noise multiplier": None, "Extra noise": None}),
        (replace(OVER, image="", image_hash="12345"), {"Denoising strength": 0.75}),
        (replace(OVER, image=""), {"Denoising strength": None}),
        (replace(OVER, noise_multiplier=0.5, extra_noise=0.1), {"Noise multiplier": 0.5, "Extra noise": 0.1}),
        (replace(OVER, image="", noise_multiplier=0.5), {"Noise multiplier": None}),
        (replace(OVER, image="", extra_noise=0.1), {"Extra noise": None}),
        (replace(OVER, fill="fill", only_masked=True), {"Masked content": None, "Inpaint area": None}),
        (MASKED, {"Mask blur": 4, "Mask mode": None, "Masked content": None, "Masked area padding": None}),
        (replace(MASKED, mask="", mask_hash="12345"), {"Mask blur": 4}),
        (replace(MASKED, invert_mask=True), {"Mask mode": "Inpaint not masked"}),
        (replace(MASKED, mask_blur_y=4), {"Mask blur": 4}),
        (replace(MASKED, mask_blur_y=8), {"Mask blur": None}),
        (replace(MASKED, only_masked=True), {"Inpaint area": "Only masked", "Masked area padding": 32}),
        (replace(MASKED, fill="latent nothing"), {"Masked content": "latent nothing"}),
        (replace(MASKED, soft=True), {"Soft inpainting enabled": True, "Soft inpainting mask influence": 0}),
        (replace(OVER, soft=True), {"Soft inpainting enabled": None}),
    ],
)  # fmt: skip
def test_parameters_of_a_picture_are_written_where_they_matter(request_, expected):
    found = parameters_of(request_)
    assert {name: found.get(name) for name in expected} == expected


@pytest.mark.parametrize(
    ("request_", "variant", "expected"),
    [
        (OVER, "base", {"Conditional mask weight": None, "Image CFG scale": None}),
        (OVER, "inpainting", {"Conditional mask weight": 1.0, "Image CFG scale": None}),
        (replace(OVER, image=""), "inpainting", {"Conditional mask weight": 1.0}),
        (OVER, "instruct-pix2pix", {"Conditional mask weight": None, "Image CFG scale": 1.5}),
    ],
)
def test_special_models_have_parameters_of_their_own(request_, variant, expected):
    found = parameters_of(request_, facts=RunFacts(variant))
    assert {name: found.get(name) for name in expected} == expected


def test_a_blank_mask_counts_as_none_where_only_the_masked_part_is_wanted():
    request = replace(MASKED, fill="fill", invert_mask=True)
    found = parameters_of(replace(request, only_masked=True), facts=RunFacts(has_blank_mask=True))
    assert found["Mask blur"] == 4
    assert found["Inpaint area"] is found["Masked content"] is None
    assert parameters_of(request, facts=RunFacts(has_blank_mask=True))["Masked content"] == "fill"


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"mask_blur": 0, "invert_mask": True, "strength": 1.0},
        {"mask_blur": 9, "only_masked": True, "padding": 0, "fill": "latent noise"},
        {"soft": True, "soft_power": 2.0, "soft_scale": 0.25, "soft_detail": 8.0, "mask_blur": 0},
        {"soft": True, "soft_mask_influence": 0.5, "soft_threshold": 0.125, "soft_contrast": 3.0},
        {"noise_multiplier": 0.875, "extra_noise": 0.1, "mask_weight": 0.5},
    ],
)
def test_the_use_of_a_mask_survives_the_text(changes):
    request = replace(MASKED, clip_skip=1, **changes)
    recalled = recall(describe(request, facts=RunFacts("inpainting")))
    assert replace(recalled.request, model=request.model, image=request.image, mask=request.mask) == request
    assert (recalled.ignored, recalled.began_with) == ((), ("image", "mask"))


def test_image_guidance_survives_the_text():
    request = replace(OVER, image_cfg=2.5)
    assert recall(describe(request, facts=RunFacts("instruct-pix2pix"))).request.image_cfg == 2.5


@pytest.mark.parametrize(
    ("line", "began_with"),
    [
        ("Denoising strength: 0, Version: v1.8.0", ()),
        ("Denoising strength: 0.5", ("image",)),
        ("Denoising strength: 0, Mask blur: 4", ("image", "mask")),
        ("Denoising strength: 0.5, Hires upscale: 2", ()),
        ("Denoising strength: 0.5, First pass size: 64x64", ()),
    ],
)
def test_a_strength_tells_of_a_picture_unless_there_are_two_passes(line, began_with):
    assert recall(f"a\nSteps: 20, Sampler: Euler, Seed: 1, Size: 128x128, {line}").began_with == began_with
