"""Scenes: balance, places, and the split into training and evaluation."""

from collections import Counter

import numpy as np
import pytest

from pochade.picturebook.objects import OBJECTS
from pochade.picturebook.palette import BACKGROUNDS, COLOURS, SIZE, visible_colours
from pochade.picturebook.scene import OPPOSITE, RELATIONS, STYLES, Scene, random_scene, split_of


def scenes(count: int, split=None, seed: int = 0) -> list[Scene]:
    rng = np.random.default_rng(seed)
    return [random_scene(rng, split) for _ in range(count)]


def facts(scene: Scene) -> set[str]:
    things = {word for thing in scene.things for word in (thing.object, thing.colour)}
    return things | {scene.background, scene.style} | ({scene.relation} if scene.relation else set())


def test_the_world_is_as_large_as_promised():
    assert (len(OBJECTS), len(COLOURS), len(BACKGROUNDS), len(RELATIONS)) == (16, 10, 8, 4)
    assert set(STYLES) == {"flat", "outline", "pixel", "soft"}


@pytest.mark.parametrize("split", ["train", "test"])
def test_every_value_occurs_in_both_splits(split):
    seen = set().union(*(facts(scene) for scene in scenes(1500, split)))
    assert seen == {*OBJECTS, *COLOURS, *BACKGROUNDS, *RELATIONS, *STYLES}


def test_a_scene_and_its_turned_twin_belong_to_one_split():
    for scene in scenes(300):
        assert split_of(scene) == split_of(scene.turned())
        assert scene.turned().turned() == scene
        if scene.relation:
            assert scene.turned().relation == OPPOSITE[scene.relation]


def test_splits_share_no_combination():
    def combination(scene: Scene):
        pairs = {
            (told.relation, *((thing.colour, thing.object) for thing in told.things))
            for told in (scene, scene.turned())
        }
        return (scene.background, frozenset(pairs))

    train = {combination(scene) for scene in scenes(3000, "train")}
    assert train.isdisjoint(combination(scene) for scene in scenes(300, "test"))


def test_few_scenes_are_held_out():
    share = np.mean([split_of(scene) == "test" for scene in scenes(3000)])
    assert 0.05 < share < 0.11


def test_scenes_repeat_with_the_seed():
    assert scenes(20, "train", seed=5) == scenes(20, "train", seed=5)
    assert scenes(20, seed=5) != scenes(20, seed=6)


def test_choices_are_balanced():
    drawn = scenes(4000)
    singles = sum(len(scene.things) == 1 for scene in drawn)
    assert 0.5 < singles / len(drawn) < 0.6
    objects = Counter(thing.object for scene in drawn for thing in scene.things)
    assert min(objects.values()) > 0.8 * max(objects.values())


def test_things_stay_inside_apart_and_clear_to_see():
    for scene in scenes(1000):
        boxes = [
            (thing.x - thing.size / 2, thing.y - thing.size / 2, thing.x + thing.size / 2, thing.y + thing.size / 2)
            for thing in scene.things
        ]
        assert all(min(box) >= 0 and max(box) <= SIZE for box in boxes)
        assert all(thing.colour in visible_colours(scene.background) for thing in scene.things)
        if len(boxes) == 2:
            (l1, t1, r1, b1), (l2, t2, r2, b2) = boxes
            assert max(l1 - r2, l2 - r1, t1 - b2, t2 - b1) >= 6
            assert scene.things[0].object != scene.things[1].object


def test_every_relation_is_what_the_places_say():
    for scene in (scene for scene in scenes(400) if scene.relation):
        first, second = scene.things
        x, y = first.x - second.x, first.y - second.y
        signs = {"left of": -x, "right of": x, "above": -y, "below": y}
        assert max(signs, key=signs.__getitem__) == scene.relation
