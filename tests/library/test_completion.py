"""Prompts are completed by what the library holds, in time for the next key."""

import time

import pytest

from pochade.library.completion import Completer
from pochade.library.entries import Notes

from .models import entry

ENTRIES = [
    entry("animals/red_fox", family="sdxl", notes=Notes(trigger_words=("vulpes vulpes", "fox (animal)"), weight=0.8)),
    entry("animals/GrayFox", family="sd1"),
    entry("a/twin", family="sd1"),
    entry("b/twin", family="sd1"),
    entry("words/foxish", "embedding", family="sd1", trigger_words=("foxish",), says_words=True),
    entry("fox-net", "hypernetwork"),
    entry("fox model", "checkpoint", trigger_words=("foxy style",), says_words=True),
    entry("fox-evil", verdict="malicious"),
    entry("fox-cut", problems=("truncated",)),
    entry("fox-vae", "vae"),
]
COMPLETER = Completer.of(ENTRIES)


def texts(prompt, cursor=None, **options):
    return [each.text for each in COMPLETER.completions(prompt, cursor, **options)]


def test_inside_a_tag_are_networks_of_its_kind():
    assert texts("a cat <lora:r") == ["<lora:red_fox:0.8>"]
    assert texts("<lora:fox") == ["<lora:GrayFox:1>", "<lora:red_fox:0.8>"]
    assert texts("<lyco:red") == ["<lora:red_fox:0.8>"]
    assert texts("<hypernet:") == ["<hypernet:fox-net:1>"]
    assert texts("<other:") == texts("<lora:none") == []


def test_networks_of_one_name_keep_their_folders():
    assert texts("<lora:tw") == ["<lora:a/twin:1>", "<lora:b/twin:1>"]
    assert texts("<lora:a/tw") == ["<lora:a/twin:1>"]


def test_a_completion_says_what_it_takes_the_place_of():
    (found,) = COMPLETER.completions("a <lora:gr:0.5>, b", 10)
    assert (found.start, found.end, found.kind, found.name, found.base) == (2, 15, "lora", "animals/GrayFox", "sd1")
    (found,) = COMPLETER.completions("a (vulp", None)
    assert (found.text, found.start, found.end, found.kind) == ("vulpes vulpes", 3, 7, "word")


@pytest.mark.parametrize("prompt", ["fox", "a photo of fox", "cat, fox", "(fox", "[fox", "cat|fox", "cat\nfox", "FOX"])
def test_in_prose_are_words_embeddings_and_tags(prompt):
    assert texts(prompt) == ["foxish", r"fox \(animal\)", "foxy style", "<lora:GrayFox:1>", "<lora:red_fox:0.8>"]


def test_phrases_of_several_words_are_completed():
    assert texts("a vulpes vu") == ["vulpes vulpes"]
    assert COMPLETER.completions("a vulpes vu")[0].start == 2


def test_what_fits_the_model_goes_first():
    assert texts("<lora:fox", base="sdxl") == ["<lora:red_fox:0.8>", "<lora:GrayFox:1>"]
    assert texts("fox", base="sd1", most=2) == ["foxish", "foxy style"]


def test_a_word_of_models_for_several_bases_fits_each():
    notes = Notes(trigger_words=("watercolour",))
    completer = Completer.of([entry("a", family="sd1", notes=notes), entry("b", family="sdxl", notes=notes)])
    assert [(each.text, each.base) for each in completer.completions("water")] == [("watercolour", "")]


@pytest.mark.parametrize("prompt", ["", "fox ", "fox,", "qqq", "<lora:red_fox:0.8> ", "a" * 10_000])
def test_nothing_is_offered_for_nothing(prompt):
    assert texts(prompt) == []


@pytest.mark.parametrize("cursor", [-5, 0, 99])
def test_any_place_of_the_cursor_will_do(cursor):
    assert texts("fox", cursor) == (texts("fox") if cursor == 99 else [])


def test_what_is_unsafe_or_broken_is_not_offered():
    assert not [text for text in [*texts("<lora:fox-"), *texts("fox-")] if "evil" in text or "cut" in text]


def test_ten_thousand_models_are_completed_at_once():
    entries = [
        entry(f"style/lora model {number}", notes=Notes(trigger_words=(f"lora word{number}", "masterpiece")))
        for number in range(10_000)
    ]
    completer = Completer.of(entries)
    slowest = 0.0
    for prompt in ("l", "lora", "lora word99", "<lora:", "<lora:l", "<lora:model 9", "a photo of the best lora wo"):
        start = time.thread_time()
        assert completer.completions(prompt, base="sdxl")
        slowest = max(slowest, time.thread_time() - start)
    assert slowest < 0.02
