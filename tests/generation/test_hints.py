import json
from types import SimpleNamespace

import pytest

import pochade
from pochade import Request
from pochade.families import SD1, SD2
from pochade.generation.extra_networks.lora_unit import LoraUnit
from pochade.generation.hints import Scope, Used, hints, hints_about
from pochade.generation.usage import Usage

SCOPE = Scope((512, 512))
INK = Usage(("ink wash", "sumi_e (style)"))


def found(usage=None, weight=None, scope=SCOPE, **fields):
    request = Request(**{"prompt": "a house", "width": 512, "height": 512} | fields)
    used = [Used("the LoRA 'ink'", usage, weight)] if usage else []
    return hints(request, used, scope)


def test_trigger_words_are_offered_where_none_is_there():
    assert found(INK, 1.0) == [
        "The LoRA 'ink' goes with 'ink wash' or 'sumi_e (style)', of which nothing is in the prompt; add it if the "
        "effect is missed."
    ]


@pytest.mark.parametrize("prompt", ["a house, (Ink Wash:1.2)", r"sumi e \(style\), a house", "[ink_wash]"])
def test_a_word_that_is_there_in_any_form_counts(prompt):
    assert found(INK, 1.0, prompt=prompt) == []


def test_a_word_in_the_tag_alone_does_not_count():
    assert len(found(INK, 1.0, prompt="a house <lora:ink wash:1>")) == 1


@pytest.mark.parametrize("weight", [0.0, -1.0])
def test_a_lora_without_weight_and_one_turned_around_need_no_words(weight):
    assert found(INK, weight) == []


@pytest.mark.parametrize(
    ("usage", "weight", "fields", "hint"),
    [
        (Usage(weight=(0.6, 0.8)), 1.5, {}, "The LoRA 'ink' has the weight 1.5; 0.6 to 0.8 is what its notes ask for."),
        (Usage(weight=(0.7, 0.7)), 0.2, {}, "The LoRA 'ink' has the weight 0.2; 0.7 is what its notes ask for."),
        (Usage(cfg=(1, 2)), 1.0, {}, "cfg is 7; the LoRA 'ink' asks for 1 to 2."),
        (Usage(clip_skip=2), 1.0, {}, "clip_skip is 1; the LoRA 'ink' was made with 2."),
        (None, None, {"width": 1024, "height": 1024}, "The picture is 1024x1024, and the model was made for 512x512: "),
        (None, None, {"width": 256, "height": 256}, "The picture is 256x256, and the model was made for 512x512: "),
    ],
)
def test_what_is_outside_of_what_a_file_states_is_said(usage, weight, fields, hint):
    (sentence,) = found(usage, weight, **fields)
    assert sentence.startswith(hint)


@pytest.mark.parametrize(
    ("usage", "weight", "fields"),
    [
        (Usage(weight=(0.6, 0.8)), 1.0, {}),
        (Usage(weight=(0.6, 0.8)), 0.0, {}),
        (Usage(cfg=(5, 8)), 1.0, {}),
        (Usage(cfg=(1, 2)), 0.0, {}),
        (Usage(clip_skip=2), 1.0, {"clip_skip": 2}),
        (Usage(clip_skip=2), 1.0, {"scope": Scope((512, 512), heeds_clip_skip=False)}),
        (None, None, {"width": 640, "height": 960}),
        (None, None, {"width": 2048, "height": 2048, "image": "house.png"}),
        (None, None, {"width": None}),
    ],
)
def test_what_fits_is_not_talked_about(usage, weight, fields):
    assert found(usage, weight, **fields) == []


def test_hints_are_few_and_each_is_said_once():
    used = [Used(f"LoRA {number}", Usage((f"word{number}",)), 1.0) for number in (1, 2, 2, 3, 4, 5, 6)]
    sentences = hints(Request("a"), used, SCOPE)
    assert len(sentences) == len(set(sentences)) == 5


def voice(model, family, *chosen):
    about = SimpleNamespace(path=model, resolution_for=lambda prediction: (512, 512), family=family)
    return SimpleNamespace(model=about, loras=SimpleNamespace(chosen=chosen))


def test_files_and_what_lies_beside_them_are_read(tmp_path):
    model = pochade.save(tmp_path / "dream.safetensors", {}, {"modelspec.usage_hint": "CFG 1-2"})
    lora = pochade.save(tmp_path / "ink.safetensors", {}, {"ss_clip_skip": "2"})
    (tmp_path / "ink.json").write_text(json.dumps({"activation text": "ink wash", "preferred weight": 0.5}))
    request = Request("a house <lora:ink:1>", width=512, height=512)
    assert hints_about(request, voice(model, SD1, (LoraUnit("ink"), lora))) == [
        "The LoRA 'ink' goes with 'ink wash', of which nothing is in the prompt; add it if the effect is missed.",
        "The LoRA 'ink' has the weight 1; 0.5 is what its notes ask for.",
        "clip_skip is 1; the LoRA 'ink' was made with 2.",
        "cfg is 7; dream.safetensors asks for 1 to 2.",
    ]
    told = hints_about(Request("ink wash", cfg=1.5), voice(model, SD2, (LoraUnit("ink", weight=0.5), lora)))
    assert told == []  # clip skip changes nothing there
