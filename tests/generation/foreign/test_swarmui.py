import json

from pochade.generation.foreign import swarmui

DRAWN = {
    "prompt": "a (red:1.2) [cat]",
    "negativeprompt": "dog",
    "model": "OfficialStableDiffusion/sd_xl_base_1.0.safetensors",
    "seed": 1,
    "steps": 20,
    "cfgscale": 7.0,
    "aspectratio": "1:1",
    "width": 1024,
    "height": 1024,
    "loras": ["styles/ink"],
    "loraweights": ["0.8"],
    "swarm_version": "0.9.3.1",
}


def test_settings_are_those_of_comfyui_where_nothing_is_said():
    settings = swarmui.read({"parameters": json.dumps({"sui_image_params": DRAWN, "sui_extra_data": {}})})
    assert settings.text == (
        "a (red:1.2) \\[cat\\] <lora:ink:0.8>\nNegative prompt: dog\nSteps: 20, Sampler: Euler, Schedule type: Normal, "
        "CFG scale: 7, Seed: 1, Size: 1024x1024, Model: sd_xl_base_1.0, RNG: CPU, Version: SwarmUI 0.9.3.1"
    )


def test_lists_may_be_texts_and_extras_are_told():
    drawn = DRAWN | {"loras": "ink,night", "loraweights": "0.5", "sampler": "dpmpp_2m", "scheduler": "karras"}
    drawn |= {"refinerupscale": 1.5, "clipstopatlayer": -2}
    settings = swarmui.read({"UserComment": json.dumps({"sui_image_params": drawn})})
    assert settings.prompt.endswith("<lora:ink:0.5> <lora:night:1>")
    assert (settings.parameters["Sampler"], settings.parameters["Clip skip"]) == ("DPM++ 2M", "2")
    assert settings.left_out == ("its second pass",)


def test_loras_have_the_hashes_of_their_numbers():
    models = [
        {"name": "styles/ink.safetensors", "param": "loras", "hash": "0x" + "AB" * 32},
        {"name": "sd_xl_base_1.0.safetensors", "param": "model", "hash": "0x" + "cd" * 32},
        {"name": "none.safetensors", "param": "loras"},
        7,
    ]
    settings = swarmui.read({"parameters": json.dumps({"sui_image_params": DRAWN, "sui_models": models})})
    assert settings.lora_hashes == {"ink": "abababababab"}


def test_other_json_is_left_to_others():
    assert swarmui.read({"parameters": '{"sui_image_params": 5}'}) is None
