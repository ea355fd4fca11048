import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from pochade.generation.foreign.reading import read_settings
from pochade.generation.picture import read_metadata

from .graphs import node, usual

TEXT = "a cat\nSteps: 20, Sampler: Euler, Seed: 1, Version: v1.10.1"
GRAPH = json.dumps(usual())
COMMENT = json.dumps({"prompt": "a", "uc": "b", "scale": 5, "steps": 28, "sampler": "k_euler", "seed": 9})


@pytest.mark.parametrize(
    ("texts", "program", "prompt"),
    [
        ({"parameters": TEXT}, "A1111", "a cat"),
        ({"parameters": TEXT, "prompt": GRAPH, "workflow": "{}"}, "A1111", "a cat"),
        ({"UserComment": TEXT}, "A1111", "a cat"),
        ({"comment": "made with love"}, "", "made with love"),
        ({"prompt": GRAPH}, "ComfyUI", "beautiful scenery, purple galaxy bottle"),
        ({"comment": "made with love", "prompt": GRAPH}, "ComfyUI", "beautiful scenery, purple galaxy bottle"),
        ({"invokeai_metadata": '{"positive_prompt": "a dog", "seed": 1}'}, "InvokeAI", "a dog"),
        ({"Software": "NovelAI", "Comment": COMMENT, "Description": "a"}, "NovelAI", "a"),
        ({"parameters": '{"sui_image_params": {"prompt": "a fish"}}'}, "SwarmUI", "a fish"),
        ({"parameters": '{"odd": 1}'}, "", '{"odd": 1}'),
        ({}, "", ""),
    ],
)
def test_the_program_is_recognised(texts, program, prompt):
    text, found = read_settings(texts)
    assert (found.program, found.prompt) == (program, prompt)
    assert text == (texts.get("parameters") if program == "A1111" and "parameters" in texts else text)


def test_a_picture_by_another_program_has_a1111s_text(tmp_path):
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text("prompt", GRAPH)
    Image.new("RGB", (8, 8)).save(tmp_path / "x.png", pnginfo=chunks)
    metadata = read_metadata(tmp_path / "x.png")
    assert metadata.infotext == metadata.settings.text
    assert metadata.infotext.endswith("Version: ComfyUI")


NAMES = ["parameters", "UserComment", "prompt", "workflow", "Comment", "Description", "Software", "Source", "Dream",
         "invokeai_metadata", "sd-metadata", "Model", "use_stable_diffusion_model", "comment"]  # fmt: skip
KEYS = st.sampled_from([
    "class_type", "inputs", "nodes", "links", "sui_image_params", "positive_prompt", "image", "prompt", "uc", "scale",
    "sampler", "scheduler", "steps", "seed", "width", "height", "base_model", "full_prompt", "loras", "performance",
    "resolution", "v4_prompt", "caption", "widgets_values", "type", "id", "model", "clip_skip", "strength", "1", "2",
])  # fmt: skip
PLAIN = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=9)
    | st.sampled_from(["KSampler", "None"])
)
VALUES = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=6))


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(NAMES), VALUES.map(json.dumps) | st.text(max_size=20) | st.just("NovelAI")))
def test_no_texts_make_it_fail(texts):
    _, found = read_settings(texts)
    assert found.recalled().request.validate()


LINKS = st.tuples(st.sampled_from("3456789"), st.integers(0, 3)).map(list)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(
    st.sampled_from(["n3", "n4", "n5", "n6", "n7", "n8"]),
    st.builds(
        lambda kind, inputs: node(kind, **inputs),
        st.sampled_from(["KSampler", "SamplerCustomAdvanced", "ConditioningConcat", "ConditioningCombine", "LoraLoader",
                         "CLIPTextEncode", "VAEEncode", "Reroute"]),
        st.dictionaries(
            st.sampled_from(["model", "positive", "negative", "conditioning_to", "conditioning_1", "text", "seed",
                             "steps", "latent_image", "pixels", "lora_name", "sigmas", "noise", "guider", "width",
                             "height"]),
            LINKS | PLAIN,
        ),
    ),
))  # fmt: skip
def test_no_graph_makes_it_fail(changes):
    _, found = read_settings({"prompt": json.dumps(usual(**changes))})
    assert found.recalled().request.validate()


def test_half_characters_are_replaced():
    found = read_settings({"invokeai_metadata": '{"positive_prompt": "\\ud800", "app_version": "4"}'})[1]
    assert found.prompt == "�"
