from dataclasses import replace

import pytest

from pochade.generation.parameters.fields import describe, parameters_of, recall
from pochade.generation.request import Request

ONCE = Request(
    "a cat", "dog", model="m.safetensors", steps=20, sampler="DPM++ 2M", schedule="Karras", seed=1, width=64, height=64,
    clip_skip=1,
)  # fmt: skip
TWICE = replace(ONCE, hires=2.0)
REFINED = replace(ONCE, refiner="fine.safetensors", refiner_hash="7440042bbd")


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (ONCE, {"Denoising strength": None, "Hires upscaler": None}),
        (replace(ONCE, hires_steps=5, hires_size=(0, 0)), {"Hires steps": None, "Hires resize": None}),
        (TWICE, {"Denoising strength": 0.75, "Hires upscale": 2.0, "Hires upscaler": "Latent", "Hires steps": None}),
        (replace(TWICE, hires_size=(128, 0)), {"Hires upscale": None, "Hires resize": "128x0"}),
        (replace(TWICE, extra_noise=0.1, noise_multiplier=0.5), {"Extra noise": 0.1, "Noise multiplier": None}),
        (replace(TWICE, hires_sampler="DPM++ 2M"), {"Hires sampler": None, "Hires schedule type": None}),
        (replace(TWICE, hires_sampler="Euler", hires_schedule="Karras"), {"Hires schedule type": None}),
        (replace(TWICE, hires_sampler="Euler", hires_schedule="Automatic"), {"Hires schedule type": None}),
        (replace(TWICE, hires_schedule="Exponential"), {"Hires sampler": None, "Hires schedule type": "Exponential"}),
        (replace(TWICE, hires_sampler="DDIM", hires_schedule="Exponential"), {"Hires schedule type": None}),
        (replace(TWICE, hires_schedule="Beta"), {"Schedule type": "Karras", "Beta schedule alpha": 0.6}),
        (replace(TWICE, hires_sampler="Euler a", eta=0.5), {"Eta": 0.5}),
        (replace(TWICE, hires_prompt="a cat", hires_negative_prompt="dogs"), {"Hires prompt": None}),
        (replace(TWICE, hires_negative_prompt="dogs"), {"Hires negative prompt": "dogs"}),
        (replace(TWICE, hires_upscaler="/models/ESRGAN/4x_Sharp.v2.pth"), {"Hires upscaler": "4x_Sharp.v2"}),
        (replace(TWICE, hires_upscaler="R-ESRGAN 4x+"), {"Hires upscaler": "R-ESRGAN 4x+"}),
    ],
)
def test_parameters_of_a_second_pass_are_written_where_they_matter(request_, expected):
    found = parameters_of(request_)
    assert {name: found.get(name) for name in expected} == expected


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (ONCE, {"Refiner": None, "Refiner switch at": None, "Refiner switch by sampling steps": None}),
        (REFINED, {"Refiner": "fine [7440042bbd]", "Refiner switch at": 0.8, "Hires refiner": None}),
        (replace(REFINED, refiner_hash=""), {"Refiner": "fine"}),
        (replace(REFINED, refiner_by_steps=True), {"Refiner switch by sampling steps": True}),
        (replace(REFINED, refiner_pass="both passes"), {"Hires refiner": None}),
        (replace(REFINED, refiner_pass="both passes", hires=2.0), {"Hires refiner": "both passes"}),
    ],
)
def test_parameters_of_a_refiner_are_written_where_they_matter(request_, expected):
    found = parameters_of(request_)
    assert {name: found.get(name) for name in expected} == expected


@pytest.mark.parametrize(
    "changes",
    [
        {"hires": 1.5, "strength": 0.4, "hires_steps": 7, "hires_upscaler": "4x_Sharp"},
        {"hires_size": (128, 96), "extra_noise": 0.25},
        {"hires_size": (0, 96), "hires_sampler": "Euler a", "hires_schedule": "Exponential", "eta": 0.5},
        {"hires": 2.0, "hires_prompt": 'a "cat", close: up\nagain', "hires_negative_prompt": "dogs"},
        {"hires": 2.0, "hires_sampler": "DDIM", "eta": 0.25},
        {"refiner": "fine", "refiner_hash": "7440042bbd", "refiner_switch_at": 0.625, "refiner_by_steps": True},
        {"refiner": "fine [x] v1.5", "refiner_switch_at": 0.0},
        {"refiner": "fine", "hires": 2.0, "refiner_pass": "first pass"},
    ],
)
def test_passes_survive_the_text(changes):
    request = replace(ONCE, **changes)
    recalled = recall(describe(request))
    assert replace(recalled.request, model=request.model) == request
    assert (recalled.ignored, recalled.began_with) == ((), ())


HIRES = {"hires": 2.0, "hires_sampler": "Euler"}
REFINER = {"refiner": "fine", "refiner_hash": "7440042bbd", "refiner_switch_at": 0.5}


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        ("Hires upscale: 2, Hires sampler: Use same sampler, Hires schedule type: Use same scheduler", {"hires": 2.0}),
        ("Hires upscale: 2, Hires sampler: Euler, Version: v1.10.1", HIRES),
        ("Hires upscale: 2, Hires sampler: Euler, Version: v1.8.0", HIRES | {"hires_schedule": "Uniform"}),
        ("Hires upscale: 2, Hires sampler: LMS Karras, Version: v1.8.0", HIRES | {"hires_sampler": "LMS Karras"}),
        ("Size: 1024x768, First pass size: 512x384", {"width": 512, "height": 384, "hires_size": (1024, 768)}),
        ("Hires resize: 0x0", {}),
        ("Refiner: fine, Version: v1.10.1", {"refiner": "fine", "refiner_switch_at": 0.0}),
        ("Refiner: fine [7440042bbd], Refiner switch at: 0.5, Version: v1.8.0", REFINER),
        (
            "Refiner: fine [7440042bbd], Refiner switch at: 0.5, Version: v1.7.0-300",
            REFINER | {"refiner_by_steps": True},
        ),
    ],
)
def test_passes_of_a1111_are_recalled(line, fields):
    recalled = recall(f"a\nSteps: 20, Sampler: Restart, Seed: 1, {line}")
    assert recalled.request == Request("a", steps=20, sampler="Restart", seed=1, clip_skip=1, **fields)
    assert recalled.ignored == ()


def test_what_cannot_be_followed_is_named():
    line = "Hires upscale: 99, Hires refiner: third pass, Hires checkpoint: other [123456], Init image hash: 12ab"
    recalled = recall(f"a\nSteps: 20, Sampler: Euler a, Seed: 1, {line}")
    assert recalled.ignored == ("Hires upscale", "Hires refiner", "Hires checkpoint", "Init image hash")
    assert recalled.request.validate().hires == 0
