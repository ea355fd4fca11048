"""Captions: every wording names everything; the README's sentence is one of them."""

import numpy as np
import pytest

from pochade.picturebook.captions import caption, captions
from pochade.picturebook.evaluation import evaluation_prompts
from pochade.picturebook.scene import Scene, Thing, random_scene, split_of

HOUSE = Thing("house", "red", 64, 96, 46)
SUN = Thing("sun", "yellow", 64, 32, 46)


def test_the_sentence_of_the_readme():
    scene = Scene((HOUSE, SUN), "below", "night sky")
    assert "a red house under a yellow sun, night sky" in captions(scene)
    assert "a yellow sun above a red house, night sky" in captions(scene)
    assert "red house below yellow sun in the night sky, flat" in captions(scene)


def test_wordings_of_one_thing():
    wordings = captions(Scene((Thing("house", "orange", 64, 64, 60),), None, "snow", "pixel"))
    assert {"an orange house, snow, pixel", "orange house in the snow, pixel art"} < set(wordings)
    assert "a picture of an orange house in the snow, pixel style" in wordings
    assert len(wordings) == len(set(wordings)) == 18


def test_captions_name_everything():
    rng = np.random.default_rng(0)
    words = {"left of": ("left of",), "right of": ("right of",)}
    for scene in (random_scene(rng) for _ in range(100)):
        for wording in captions(scene):
            assert all(f"{thing.colour} {thing.object}" in wording for thing in scene.things)
            assert scene.background in wording or scene.background.split()[0] in wording
            assert scene.style == "flat" or scene.style in wording
            if scene.relation in words:
                assert "left of" in wording or "right of" in wording
            elif scene.relation:
                assert any(word in wording for word in (" above ", " over ", " under ", " below "))


def test_a_turned_scene_reads_the_same():
    scene = Scene((HOUSE, SUN), "below", "beach")
    assert set(captions(scene)) == set(captions(scene.turned()))


def test_a_drawn_caption_is_one_of_the_wordings():
    rng = np.random.default_rng(1)
    for _ in range(100):
        scene = random_scene(rng)
        assert caption(scene, rng) in captions(scene)


@pytest.mark.parametrize("count", [7, 200])
def test_evaluation_prompts(count):
    prompts = evaluation_prompts(count)
    assert prompts == evaluation_prompts(count)
    assert len(prompts) == count
    assert sum(len(scene.things) == 1 for _, scene in prompts) == (count + 1) // 2
    assert all(split_of(scene) == "test" for _, scene in prompts)
    assert all(prompt in captions(scene) for prompt, scene in prompts)


def test_other_seeds_give_other_prompts():
    assert evaluation_prompts(20, seed=1) != evaluation_prompts(20, seed=2)
