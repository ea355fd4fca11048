import json

import pytest

from pochade.generation.foreign import easydiffusion

CHUNKS = {
    "prompt": "a cat",
    "negative_prompt": "dog",
    "seed": "42",
    "use_stable_diffusion_model": "sd-v1-5.safetensors",
    "sampler_name": "euler_a",
    "num_inference_steps": "25",
    "guidance_scale": "7.5",
    "width": "512",
    "height": "640",
    "clip_skip": "True",
    "use_lora_model": "['ink', 'night']",
    "lora_alpha": "[0.5, 1]",
    "use_vae_model": "None",
    "use_hypernetwork_model": "",
}
TEXT = (
    "a cat <lora:ink:0.5> <lora:night:1>\nNegative prompt: dog\nSteps: 25, Sampler: Euler a, CFG scale: 7.5, Seed: 42, "
    "Size: 512x640, Model: sd-v1-5, Clip skip: 2, Version: Easy Diffusion"
)
FOR_PEOPLE = {
    "Prompt": "a cat", "Negative Prompt": "dog", "Seed": 42, "Stable Diffusion model": "sd-v1-5", "Sampler": "euler_a",
    "Steps": 25, "Guidance Scale": 7.5, "Width": 512, "Height": 640, "Clip Skip": True, "LoRA model": ["ink", "night"],
    "LoRA strength": [0.5, 1],
}  # fmt: skip


@pytest.mark.parametrize(
    "texts", [CHUNKS, {"UserComment": json.dumps(CHUNKS)}, {"UserComment": json.dumps(FOR_PEOPLE)}]
)
def test_settings_in_every_form(texts):
    assert easydiffusion.read(texts).text == TEXT


def test_a_hypernetwork_is_asked_for_by_a_tag():
    settings = easydiffusion.read(CHUNKS | {"use_hypernetwork_model": "water.pt", "hypernetwork_strength": "0.6"})
    assert settings.prompt.endswith(" <hypernet:water:0.6>")


def test_other_chunks_are_left_to_others():
    assert easydiffusion.read({"prompt": "a cat", "seed": "1"}) is None
