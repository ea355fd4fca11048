"""Embeddings in pictures of the shipped model, from the file to the pixels."""

import numpy as np
import pytest

from pochade import Pipeline, files
from pochade.events import Made, Warned
from pochade.generation.request import Request
from pochade.picturebook.judge import judge
from pochade.prompts import tokenize
from tests.golden.extra_models import torch_zip

QUICK = {"steps": 3, "seed": 8}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("models") / "embeddings"
    place.mkdir()
    return place


@pytest.fixture(scope="module")
def pipeline(folder):
    return Pipeline.load(device="cpu", dtype="fp32", folders=[folder.parent])


@pytest.fixture(scope="module")
def word(pipeline, folder):
    """Writes an embedding that holds the vectors of some words."""
    table = pipeline.model.networks.text_encoders[0].text_model.embeddings.token_embedding.weight.numpy()

    def write(name, text, count=None):
        vectors = table[tokenize(text)].copy()
        files.save(folder / f"{name}.safetensors", {"emb_params": vectors[:count]})
        return vectors

    return write


def pixels(pipeline, prompt, **settings):
    return np.asarray(pipeline.txt2img(prompt, **QUICK | settings).image)


def told(pipeline, prompt, **settings):
    events = list(pipeline.run(Request(prompt, **QUICK | settings)))
    (picture,) = (event.result for event in events if isinstance(event, Made))
    return picture, [event.message for event in events if isinstance(event, Warned)]


def test_the_vectors_of_a_word_draw_what_the_word_draws(pipeline, word):
    word("zorp", "house")
    word("flim flam", "red house")
    plain = pixels(pipeline, "a (red house:1.2), night sky", negative_prompt="a house")
    assert np.array_equal(pixels(pipeline, "a (red zorp:1.2), night sky", negative_prompt="a ZORP"), plain)
    assert np.array_equal(pixels(pipeline, "a (flim flam:1.2), night sky", negative_prompt="a house"), plain)
    assert not np.array_equal(pixels(pipeline, "a (red zor p:1.2), night sky", negative_prompt="a house"), plain)


def test_a_word_beyond_the_first_window_counts_too(pipeline, word):
    word("zorp", "house")
    filler = "a, " * 37
    assert np.array_equal(pixels(pipeline, filler + "red zorp"), pixels(pipeline, filler + "red house"))


def test_a_word_works_in_editing_and_in_every_part(pipeline, word):
    word("zorp", "house")
    drawn, wanted = (pixels(pipeline, f"a [{name}:tree:2] AND a {name}") for name in ("zorp", "house"))
    assert np.array_equal(drawn, wanted)


def test_a_word_works_in_the_second_pass(pipeline, word):
    word("zorp", "house")
    again = {"hires": 1.25, "hires_steps": 1}
    drawn, wanted = (
        pixels(pipeline, "a tree", **again, hires_prompt=f"a {name}", hires_negative_prompt=f"{name} {name}")
        for name in ("zorp", "house")
    )
    assert np.array_equal(drawn, wanted)


def test_a_mean_of_words_acts(pipeline, word, folder):
    vectors = word("unused", "red house")
    (folder / "mean.pt").write_bytes(torch_zip({"string_to_param": {"*": vectors.mean(axis=0, keepdims=True)}}))
    picture = pipeline.txt2img("a mean, night sky", seed=8)
    assert [(thing.colour, thing.object) for thing in judge(picture.image).things] == [("red", "house")]


def test_the_picture_tells_hashes_as_a1111_does(pipeline, word):
    """The negative prompt is read first, then the parts of the prompt, and who reads puts his words in front."""
    for name, text in (("zorp", "house"), ("flam", "tree"), ("dark", "night sky")):
        word(name, text)
    picture, messages = told(pipeline, "a [flam:zorp:2] AND a zorp", negative_prompt="dark zorp")
    line = picture.infotext.split("TI hashes: ")[1].split('"')[1]
    assert [each.partition(":")[0] for each in line.split(", ")] == ["zorp", "flam", "zorp", "dark", "zorp"]
    assert messages == []
    assert "TI hashes" not in told(pipeline, "a house")[0].infotext
    assert pipeline.txt2img(picture.request.prompt, negative_prompt="dark zorp", **QUICK).infotext == picture.infotext


def test_words_that_cannot_be_used_are_told_once_and_drawn_as_plain_ones(pipeline, folder):
    plain = pixels(pipeline, "a blarg", negative_prompt="a blarg")
    files.save(folder / "blarg.safetensors", {"emb_params": np.ones((1, 768), np.float32)})
    picture, messages = told(pipeline, "a blarg", negative_prompt="a blarg", hires=0)
    assert np.array_equal(np.asarray(picture.image), plain)
    (message,) = messages
    assert message.startswith("The embedding 'blarg' has vectors of 768 numbers, and this model's have ")


def test_hints_for_pairs_come_before_the_picture(pipeline, word):
    word("glim", "house")
    word("glim-neg", "tree")
    picture, messages = told(pipeline, "a glim", negative_prompt="glim-neg")
    assert messages == []
    assert "glim-neg" in picture.infotext
    assert told(pipeline, "a glim")[1] == ["'glim' is one of a pair; 'glim-neg' goes with it into the negative prompt."]
    assert told(pipeline, "a glim-neg")[1] == ["'glim-neg' is made for the negative prompt, but stands in the prompt."]


def test_new_files_are_seen_without_loading_anew(pipeline, word):
    before = pixels(pipeline, "a quux")
    word("quux", "house")
    after = pixels(pipeline, "a quux")
    assert not np.array_equal(before, after)
    assert np.array_equal(after, pixels(pipeline, "a house"))
