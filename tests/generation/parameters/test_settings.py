import pytest

from pochade.generation.parameters.settings import Settings, program_of

TEXT = (
    "a <lora:ink:1>\nNegative prompt: b\nSteps: 20, Sampler: Euler, Seed: 1, Size: 64x96, "
    'Lora hashes: "ink: 1234567890ab"'
)


def test_a_text_and_back():
    settings = Settings.of_text(TEXT)
    assert settings.text == TEXT
    assert (settings.parameters["Size-2"], settings.lora_hashes) == ("96", {"ink": "1234567890ab"})


def test_hashes_in_json_fill_what_the_line_lacks():
    settings = Settings.of_text(
        'a cat\nSteps: 20, Sampler: Euler, Seed: 1, Hashes: {"model": "aeb7e9e689", "lora:ink": "1234567890",'
        ' "embed:night": "abcdef0123"}, TI hashes: "day: 0123456789ab"'
    )
    assert settings.recalled().request.model_hash == "aeb7e9e689"
    assert "Hashes" not in settings.recalled().ignored
    assert settings.lora_hashes == {"ink": "1234567890"}
    assert settings.embedding_hashes == {"night": "abcdef0123", "day": "0123456789ab"}


def test_prompts_that_look_like_a_text_stay_whole():
    odd = "a\nNegative prompt: b\nSteps: 1, Seed: 2, Size: 8x8"
    request = Settings("ComfyUI", odd, "", {"Steps": "20"}, fields={"exact_steps": True}).recalled().request
    assert (request.prompt, request.negative_prompt, request.steps, request.exact_steps) == (odd, "", 20, True)


@pytest.mark.parametrize(
    ("parameters", "program"),
    [
        ({}, ""),
        ({"Steps": "20"}, "A1111"),
        ({"Version": "v1.10.1"}, "A1111"),
        ({"Version": "1.6.0-RC"}, "A1111"),
        ({"Version": "f2.0.1v1.10.1-previous-224-g90019688"}, "Forge"),
        ({"Version": "pochade 0.1.0"}, "Pochade"),
        ({"Version": "ComfyUI"}, "ComfyUI"),
        ({"Version": "Fooocus v2.5.5"}, "Fooocus"),
        ({"Version": "1fb5e3f", "App": "SD.Next"}, "SD.Next"),
        ({"Version": "main"}, "another program"),
    ],
)
def test_the_version_tells_the_program(parameters, program):
    assert program_of(parameters) == program
