"""Which embeddings texts name, and what is told of those that do not fit or stand in the wrong place."""

import numpy as np
import pytest

from pochade import files
from pochade.families import SD1, SDXL
from pochade.generation.device.notes import Notes
from pochade.generation.extra_networks.embedding_files import EmbeddingFiles
from pochade.generation.extra_networks.embeddings import Embedding, bundled_embeddings
from pochade.generation.extra_networks.vocabulary import Vocabulary
from pochade.prompts import Emphasis, Tokenizer


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "embeddings"
    place.mkdir()
    return place


def save(folder, name, count=1, width=768, **metadata):
    return files.save(folder / f"{name}.safetensors", {"emb_params": np.ones((count, width), np.float32)}, metadata)


def save_pair(folder, name):
    vectors = {"clip_l": np.ones((2, 768), np.float32), "clip_g": np.ones((2, 1280), np.float32)}
    return files.save(folder / f"{name}.safetensors", vectors)


def vocabulary(folder, widths=(768,), family=SD1, emphasis=Emphasis.ORIGINAL, bundled=None):
    shelf = EmbeddingFiles([folder.parent])
    return Vocabulary(shelf, Tokenizer(), family, widths, emphasis, Notes(), bundled or {})


def told(words):
    return [each.message for each in words.notes.untold()]


def test_names_are_found_by_tokens_in_any_text(folder):
    for name in ("zorp", "zorp-night", "Flim Flam", "unused"):
        save(folder, name)
    words = vocabulary(folder)
    found = words.found_in(["a (zorp:1.3) in a flim  flam, [x]", "ZORP-NIGHT", "zorps"])
    assert list(found) == ["zorp", "Flim Flam", "zorp-night"]
    assert words.found_in(["zor p", "flim-flam", ""]) == {}
    assert told(words) == []


def test_break_is_no_word_but_where_brackets_are_plain_it_is(folder):
    save(folder, "break")
    assert vocabulary(folder).found_in(["a BREAK b"]) == {}
    assert set(vocabulary(folder).found_in(["a break b"])) == {"break"}
    assert set(vocabulary(folder, emphasis=Emphasis.NONE).found_in(["a BREAK b"])) == {"break"}


def test_a_word_for_another_base_is_plain_and_tells_which_one_it_wants(folder):
    save(folder, "zorp", width=1024)
    save_pair(folder, "flam")
    save(folder, "odd", width=64)
    words = vocabulary(folder)
    assert words.found_in(["zorp flam odd"]) == {}
    zorp, flam, odd = told(words)
    assert zorp == (
        "The embedding 'zorp' is for Stable Diffusion 2.x, and this model is one of Stable Diffusion 1.x;"
        " it is read as plain words."
    )
    assert "'flam' is for Stable Diffusion XL" in flam
    assert "'odd' has vectors of 64 numbers, and this model's have 768" in odd


def test_a_pair_of_vectors_fits_sdxl_alone(folder):
    save_pair(folder, "flam")
    save(folder, "zorp")
    words = vocabulary(folder, (768, 1280), SDXL)
    found = words.found_in(["zorp flam"])
    assert [(each.name, each.widths, each.count) for each in found.values()] == [("flam", (768, 1280), 2)]


def test_a_longer_name_that_does_not_fit_leaves_the_shorter_one(folder):
    save(folder, "zorp night", width=1024)
    save(folder, "zorp")
    words = vocabulary(folder)
    assert set(words.found_in(["a zorp night"])) == {"zorp"}
    assert len(told(words)) == 1
    again = vocabulary(folder)
    assert again.found_in(["a cat"]) == {}
    assert told(again) == []


def test_a_file_that_cannot_be_used_is_told_and_stops_nothing(folder):
    (folder / "zorp.pt").write_bytes(b"x" * 100)
    files.save(folder / "flam.safetensors", {name: np.ones((2, 2), np.float32) for name in "abc"})
    save(folder, "long", count=76)
    words = vocabulary(folder)
    assert words.found_in(["zorp flam long"]) == {}
    zorp, flam, long = told(words)
    assert zorp.startswith("The embedding 'zorp' cannot be used (")
    assert "zorp.pt" in zorp
    assert "3 tensors, not the vectors of one word" in flam
    assert "76 vectors, and a prompt window holds 75" in long


def test_files_go_before_a_lora_s_own_words(folder):
    lora = files.save(folder / "lora.safetensors", {"bundle_emb.zorp.string_to_param.*": np.ones((4, 768), np.float32)})
    bundled = bundled_embeddings(files.open(lora), "lora")
    assert bundled["zorp"].listed == "zorp: lora"
    assert vocabulary(folder, bundled=bundled).found_in(["zorp"])["zorp"].count == 4
    save(folder, "zorp", count=1)
    assert vocabulary(folder, bundled=bundled).found_in(["zorp"])["zorp"].count == 1


def of(words, *names):
    return list(words.found_in(names).values())


def test_half_of_a_pair_asks_for_the_other_half(folder):
    for name in ("zorp", "zorp-neg", "single"):
        save(folder, name)
    words = vocabulary(folder)
    words.note_misplaced([of(words, "zorp")], of(words, "zorp-neg"))
    words.note_misplaced([of(words, "single")], [])
    assert told(words) == []
    words.note_misplaced([of(words, "single"), of(words, "zorp")], [])
    assert told(words) == ["'zorp' is one of a pair; 'zorp-neg' goes with it into the negative prompt."]


def test_a_negative_word_in_the_prompt_is_told(folder):
    save(folder, "EasyNegative")
    save(folder, "zorp", **{"modelspec.is_negative_embedding": "true"})
    words = vocabulary(folder)
    words.note_misplaced([], of(words, "easynegative", "zorp"))
    assert told(words) == []
    words.note_misplaced([of(words, "easynegative", "zorp")], [])
    assert told(words) == [
        "'EasyNegative' is made for the negative prompt, but stands in the prompt.",
        "'zorp' is made for the negative prompt, but stands in the prompt.",
    ]


def test_listed_names_have_no_marks_that_would_end_them():
    assert Embedding("a, b: c", (), digest="0123456789ab").listed == "a b c: 0123456789ab"
