import json

import pytest

from pochade.generation.foreign import invokeai

METADATA = {
    "app_version": "4.2.1",
    "generation_mode": "txt2img",
    "positive_prompt": "a red house",
    "negative_prompt": "mush",
    "width": 512,
    "height": 768,
    "seed": 3607353402,
    "rand_device": "cpu",
    "cfg_scale": 7.5,
    "steps": 30,
    "scheduler": "dpmpp_2m_k",
    "clip_skip": 1,
    "model": {"key": "a1", "hash": "blake3:0f", "name": "dreamshaper-8", "base": "sd-1", "type": "main"},
    "loras": [{"model": {"key": "b2", "name": "ink", "base": "sd-1", "type": "lora"}, "weight": 0.75}],
}


def read(**changes):
    return invokeai.read({"invokeai_metadata": json.dumps(METADATA | changes)})


def test_version_4_and_above():
    settings = read()
    assert settings.text == (
        "a red house <lora:ink:0.75>\nNegative prompt: mush\nSteps: 30, Sampler: DPM++ 2M, Schedule type: Karras, "
        "CFG scale: 7.5, Seed: 3607353402, Size: 512x768, Model: dreamshaper-8, Clip skip: 2, RNG: CPU, "
        "Version: InvokeAI 4.2.1"
    )
    assert (settings.left_out, settings.recalled().ignored) == ((), ())


def test_names_of_version_3_and_of_sdxl():
    settings = read(
        model={"model_name": "sdxl", "base_model": "sdxl", "model_type": "main"},
        loras=[{"lora": {"model_name": "ink", "base_model": "sdxl"}, "weight": 1}],
        vae={"model_name": "fixed"},
        positive_style_prompt="as a photo",
        negative_style_prompt="mush",
        scheduler="euler",
    )
    assert settings.prompt == "a red house as a photo <lora:ink:1>"
    assert settings.negative_prompt == "mush"
    assert (settings.parameters["Model"], settings.parameters["VAE"]) == ("sdxl", "fixed")
    assert (settings.parameters["Sampler"], settings.parameters["Schedule type"]) == ("Euler", "Uniform")


def test_what_has_no_place_is_told():
    settings = read(
        positive_prompt="a red++ house", controlnets=[{}], hrf_enabled=True, scheduler="tcd", init_image="x.png",
        strength=0.4,
    )  # fmt: skip
    assert settings.left_out == (
        "the sampler tcd, which Pochade does not have",
        "its way to weigh words, such as word++",
        "its ControlNets",
        "its second pass at high resolution",
    )
    assert settings.recalled().began_with == ("image",)


OLD = {
    "model": "stable diffusion",
    "model_weights": "stable-diffusion-1.5",
    "model_hash": "cc6cb27103417325ff94f52b7a5d2dde45a7515b25c255d8e396c90014281516",
    "app_id": "invoke-ai/InvokeAI",
    "app_version": "2.3.0",
    "image": {
        "prompt": [{"prompt": "a cat [dog]", "weight": 1.0}],
        "steps": 50,
        "cfg_scale": 7.5,
        "width": 512,
        "height": 512,
        "seed": 1,
        "type": "txt2img",
        "sampler": "k_lms",
    },
}


def test_version_2():
    settings = invokeai.read({"sd-metadata": json.dumps(OLD), "Dream": "x"})
    assert settings.text == (
        "a cat\nNegative prompt: dog\nSteps: 50, Sampler: LMS, Schedule type: Uniform, CFG scale: 7.5, Seed: 1, "
        "Size: 512x512, Model hash: cc6cb27103, Model: stable-diffusion-1.5, Version: InvokeAI 2.3.0"
    )


def test_version_1_wrote_a_command_line():
    settings = invokeai.read({"Dream": '"a cat" -s 50 -S 42 -W 512 -H 640 -C 7.5 -A k_euler_a'})
    assert settings.text == (
        "a cat\nSteps: 50, Sampler: Euler a, Schedule type: Uniform, CFG scale: 7.5, Seed: 42, Size: 512x640, "
        "Version: InvokeAI"
    )


@pytest.mark.parametrize(
    "texts",
    [{}, {"invokeai_metadata": "{}"}, {"invokeai_metadata": "x"}, {"sd-metadata": "[]"}, {"Dream": '"'}, {"Dream": ""}],
)
def test_what_it_did_not_write_is_left_to_others(texts):
    assert invokeai.read(texts) is None
