import json

import pytest

from pochade.generation.foreign import novelai

COMMENT = {
    "prompt": "1girl, {{smile}}, [rain]",
    "steps": 28,
    "height": 1216,
    "width": 832,
    "scale": 5.0,
    "uncond_scale": 1.0,
    "cfg_rescale": 0.0,
    "seed": 2494494983,
    "n_samples": 1,
    "noise_schedule": "karras",
    "sampler": "k_euler_ancestral",
    "uc": "lowres",
    "request_type": "PromptGenerateRequest",
    "sm": False,
}
TEXTS = {"Software": "NovelAI", "Source": "Stable Diffusion XL C1E1DE52", "Description": "x", "Title": "NovelAI"}


def read(**changes):
    return novelai.read(TEXTS | {"Comment": json.dumps(COMMENT | changes)})


def test_settings_as_a1111_converts_them():
    settings = read()
    assert settings.text == (
        "1girl, ((smile:1.05):1.05), (rain:0.952)\nNegative prompt: lowres\nSteps: 28, Sampler: Euler a, "
        "Schedule type: Karras, CFG scale: 5, Seed: 2494494983, Size: 832x1216, Model: Stable Diffusion XL C1E1DE52, "
        "Clip skip: 2, ENSD: 31337, Version: NovelAI"
    )
    assert (settings.left_out, settings.recalled().ignored) == ((), ())


def test_characters_of_version_4_are_told():
    caption = {"base_caption": "two girls", "char_captions": [{"char_caption": "girl, red hair", "centers": []}]}
    settings = read(prompt="", v4_prompt={"caption": caption}, sm=True)
    assert settings.left_out == ("SMEA", "the character 'girl, red hair'")


def test_webp_files_have_all_in_the_comment():
    texts = {"UserComment": json.dumps(TEXTS | {"Comment": json.dumps(COMMENT)})}
    assert novelai.read(texts).parameters["Seed"] == "2494494983"


def test_the_size_of_older_ones_is_that_of_the_picture():
    settings = novelai.with_size(read(width=None), 640, 512)
    assert (settings.parameters["Size-1"], settings.parameters["Size-2"]) == ("640", "512")
    assert novelai.with_size(read(), 640, 512) == read()


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("{a, [b]}", "(a, (b:0.952):1.05)"),
        ("{a, [b}]", r"{a, \[b}\]"),
        ("a (b)", r"a \(b\)"),
        ("1.5::a b::, c", "(a b:1.5), c"),
        ("-1::hat::", "(hat:-1)"),
    ],
)
def test_emphasis_is_spelled_as_in_a1111(prompt, expected):
    assert novelai.as_a1111(prompt) == expected


@pytest.mark.parametrize("comment", ["", "a cat", "{}", '{"prompt": "a cat", "seed": 1}'])
def test_other_comments_are_left_to_others(comment):
    assert novelai.read({"Comment": comment}) is None
