"""Hypernetworks that tags ask for: found, loaded, put in order, or told why not."""

import shutil

import numpy as np
import pytest

from pochade.families import SD1
from pochade.generation.extra_networks.hypernetworks import Hypernetworks
from pochade.prompts.extra_networks import extract
from tests.golden.extra_models import make_extras, torch_zip
from tests.golden.replay import pipeline as golden


@pytest.fixture(scope="module")
def model():
    return golden("goldsd1").model


@pytest.fixture
def folder(tmp_path):
    make_extras(tmp_path)
    return tmp_path / "models" / "hypernetworks"


@pytest.fixture
def asked(folder, model):
    """What tags in a prompt ask for, as strengths, and what is told."""
    shelf = Hypernetworks([folder.parents[1]])

    def ask(prompt):
        model.memory.notes.begin()
        found = shelf.asked_for(extract(prompt)[1], model, model.memory.notes)
        return found, [each.message for each in model.memory.notes.untold()]

    return ask


def test_several_come_in_order_with_their_strengths(asked):
    found, told = asked("<hypernet:hyp1221:0.5> a <lora:x:1> cat <hypernet:HYP121> <hypernet:hyp121:-2>")
    assert [each.strength for each in found] == [0.5, 1.0, -2.0]
    assert [sorted(each.network) for each in found] == [["128"], ["128", "32", "64"], ["128", "32", "64"]]
    assert found[1].network is found[2].network
    assert told == []


def test_no_tag_asks_for_nothing(asked):
    assert asked("a cat") == ((), [])


@pytest.mark.parametrize(
    ("tag", "words"),
    [
        ("<hypernet:nowhere:1>", "'nowhere' is not in the folders of models"),
        ("<hypernet:/etc/passwd>", "is not in the folders of models"),
        ("<hypernet:hyp121:strong>", "strength 'strong', which is no number"),
        ("<hypernet:hyp121:nan>", "strength 'nan', which is no number"),
        ("<hypernet:broken:1>", "'broken' cannot be used ("),
        ("<hypernet:word:1>", "'word' cannot be used ("),
        ("<hypernet::1>", "is not in the folders of models"),
    ],
)
def test_what_cannot_be_used_is_told_and_stops_nothing(asked, folder, tag, words):
    (folder / "broken.pt").write_bytes(b"x" * 100)
    shutil.copy(folder.parents[1] / "embeddings" / "goldone.pt", folder / "word.pt")
    found, (told,) = asked(f"a cat {tag} <hypernet:hyp121>")
    assert len(found) == 1
    assert words in told
    assert told.endswith("it has no effect.")


def side(width):
    weight, bias = np.ones((width, width), np.float32), np.ones(width, np.float32)
    return {f"linear.{layer}.{name}": each for layer in (0, 1) for name, each in (("weight", weight), ("bias", bias))}


def test_widths_that_do_not_fit_are_told(asked, folder):
    """A hypernetwork for SD 2 on a narrow SD 1 model: its part for one width fits, or none."""
    for name, widths in (("none", (1024,)), ("part", (1024, 32)), ("odd", (8,))):
        (folder / f"{name}.pt").write_bytes(torch_zip({width: (side(width), side(width)) for width in widths}))
    found, told = asked("<hypernet:none><hypernet:part><hypernet:odd>")
    assert [sorted(each.network) for each in found] == [["1024", "32"]]
    assert told == [
        f"The hypernetwork 'none' is for Stable Diffusion 2.x, and this model is one of {SD1.title}; it has no effect.",
        f"The hypernetwork 'part' is for Stable Diffusion 2.x, and this model is one of {SD1.title};"
        " only its part for the picture acts.",
        f"The hypernetwork 'odd' is for widths of 8, and this model is one of {SD1.title}; it has no effect.",
    ]


def test_a_file_that_changed_is_loaded_again(asked, folder):
    first, _ = asked("<hypernet:hyp121>")
    (folder / "hyp121.pt").write_bytes(torch_zip({32: (side(32), side(32))}))
    second, _ = asked("<hypernet:hyp121>")
    assert sorted(first[0].network) == ["128", "32", "64"]
    assert sorted(second[0].network) == ["32"]


SMALL = {"width": 64, "height": 64, "steps": 2, "seed": 5}


def drawn(pipeline, prompt, **settings):
    return np.asarray(pipeline.txt2img(prompt, **SMALL, **settings).image).astype(int)


def test_it_changes_a_picture_as_strongly_as_asked_and_only_that_one():
    pipeline = golden("goldsd1")
    plain = drawn(pipeline, "a cat")
    half, whole, both = (
        drawn(pipeline, f"a cat{tags}")
        for tags in ("<hypernet:hyp121:0.5>", "<hypernet:hyp121>", "<hypernet:hyp121><hypernet:hyp1221:0.5>")
    )
    assert 0 < np.abs(half - plain).mean() < np.abs(whole - plain).mean()
    assert not np.array_equal(both, whole)
    assert np.array_equal(drawn(pipeline, "a cat"), plain)
    assert np.array_equal(drawn(pipeline, "a cat<hypernet:hyp121:0>"), plain)


def test_the_second_pass_has_the_tags_of_its_own_prompt():
    pipeline = golden("goldsd1")
    again = {"hires": 1.5, "hires_steps": 2, "strength": 0.5}
    tagged = "a cat<hypernet:hyp121>"
    plain, first, second, both = (
        drawn(pipeline, *prompts, **again, hires_prompt=own)
        for *prompts, own in (("a cat", ""), (tagged, "a cat"), ("a cat", tagged), (tagged, ""))
    )
    pictures = (plain, first, second, both)
    assert all(one is other or not np.array_equal(one, other) for one in pictures for other in pictures)
