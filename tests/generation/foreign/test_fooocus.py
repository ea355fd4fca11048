import json

from pochade.generation.foreign import fooocus
from pochade.generation.foreign.reading import read_settings

WRITTEN = {
    "adm_guidance": "(1.5, 0.8, 0.3)",
    "base_model": "juggernautXL_v8Rundiffusion",
    "base_model_hash": "aeb7e9e689",
    "clip_skip": 2,
    "full_negative_prompt": ["mush", "drawing"],
    "full_prompt": ["cinematic still a cat . film grain", "a cat, glowing"],
    "guidance_scale": 4,
    "loras": [["sd_xl_offset_example-lora_1.0", 0.1, "4852686128"]],
    "metadata_scheme": "fooocus",
    "negative_prompt": "mush",
    "performance": "Speed",
    "prompt": "a cat",
    "prompt_expansion": "a cat, glowing",
    "refiner_model": "None",
    "refiner_switch": 0.5,
    "resolution": "(1152, 896)",
    "sampler": "dpmpp_2m_sde_gpu",
    "scheduler": "karras",
    "seed": "1234567890123456789",
    "sharpness": 2,
    "steps": 30,
    "styles": "['Fooocus V2']",
    "vae": "Default (model)",
    "version": "Fooocus v2.5.5",
}


def read(**changes):
    return fooocus.read({"parameters": json.dumps(WRITTEN | changes), "fooocus_scheme": "fooocus"})


def test_the_prompts_are_those_that_were_drawn():
    settings = read()
    assert settings.text == (
        "cinematic still a cat . film grain BREAK a cat, glowing <lora:sd_xl_offset_example-lora_1.0:0.1>\n"
        "Negative prompt: mush BREAK drawing\nSteps: 30, Sampler: DPM++ 2M SDE, Schedule type: Karras, CFG scale: 4, "
        "Seed: 1234567890123456789, Size: 1152x896, Model hash: aeb7e9e689, Model: juggernautXL_v8Rundiffusion, "
        "Clip skip: 2, RNG: CPU, Version: Fooocus v2.5.5"
    )
    assert settings.left_out == ("its sharpness, 2", "its guidance by size, (1.5, 0.8, 0.3)")


def test_older_names_and_a_refiner():
    settings = read(
        full_prompt=None, refiner_model="sd_xl_refiner_1.0.safetensors", loras=None, lora_combined_1="ink : 0.5",
        vae="fix.safetensors",
    )  # fmt: skip
    assert settings.prompt == "a cat <lora:ink:0.5>"
    assert (settings.parameters["Refiner"], settings.parameters["Refiner switch at"]) == ("sd_xl_refiner_1.0", "0.5")
    assert settings.parameters["VAE"] == "fix.safetensors"


def test_loras_that_are_told_twice_count_once_and_have_their_hashes():
    settings = read(
        lora_combined_1="sd_xl_offset_example-lora_1.0 : 0.1", refiner_model="fine", refiner_model_hash="ab12"
    )
    assert settings.prompt.count("<lora:") == 1
    assert settings.lora_hashes == {"sd_xl_offset_example-lora_1.0": "4852686128"}
    assert settings.parameters["Refiner"] == "fine [ab12]"


def test_the_text_of_a1111_is_read_with_its_own_names():
    text = (
        "a cat\nSteps: 30, Sampler: DPM++ 2M SDE, Seed: 1, Scheduler: karras, VAE: Default (model), Raw prompt: a cat, "
        'Lora hashes: "off: 4852686128, ink: 1234567890", Lora weights: "off: 0.1, ink: 1", Version: Fooocus v2.5.5'
    )
    found, settings = read_settings({"parameters": text})
    recalled = settings.recalled()
    assert (found, settings.prompt) == (text, "a cat <lora:off:0.1> <lora:ink:1>")
    assert (recalled.request.schedule, recalled.request.vae, recalled.request.rng) == ("Karras", "", "cpu")
    assert (recalled.ignored, settings.lora_hashes["ink"]) == ((), "1234567890")


def test_jpeg_files_have_it_in_the_comment():
    assert fooocus.read({"UserComment": json.dumps(WRITTEN)}).parameters["Steps"] == "30"


def test_other_json_is_left_to_others():
    assert fooocus.read({"parameters": '{"prompt": "a cat", "base_model": "x"}'}) is None
