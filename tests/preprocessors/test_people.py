"""People are found in heat maps and fields that a test drew."""

import numpy as np
import pytest

from pochade.preprocessors.people import LIMBS, Person, peaks_of, people_of
from tests.preprocessors.skeletons import maps_of, standing

SIZE = HEIGHT, WIDTH = 184, 240


def found(*people):
    return people_of(*maps_of(people, *SIZE, spread=5, breadth=4))


def check(person, expected):
    assert person.joints.keys() == expected.keys()
    for joint, (x, y) in expected.items():
        assert abs(person.joints[joint].x - x * WIDTH) < 2 and abs(person.joints[joint].y - y * HEIGHT) < 2


def test_someone_is_found_with_every_joint():
    (person,) = found(standing())
    check(person, standing())


def test_several_people_are_kept_apart():
    left, right = standing(0.22, 0.8), standing(0.75, 0.9)
    first, second = sorted(found(right, left), key=lambda each: each.joints[1].x)
    check(first, left)
    check(second, right)


@pytest.mark.parametrize("hidden", [(16,), (3, 4), (8, 9, 10), (14, 15, 16, 17), (10, 13, 4, 7)])
def test_hidden_joints_are_left_out(hidden):
    (person,) = found(standing(without=hidden))
    check(person, standing(without=hidden))


def test_an_ear_without_its_eye_is_joined_by_the_shoulder():
    (person,) = found(standing(without=(14,)))
    check(person, standing(without=(14,)))


def test_a_body_in_two_parts_is_put_together_by_what_joins_them():
    """Without a nose, eyes and ears are found first as someone else."""
    (person,) = found(standing(without=(0,)))
    assert {1, 16, 17} <= person.joints.keys()


def test_too_few_joints_are_nobody():
    assert found({joint: standing()[joint] for joint in (2, 3, 4)}) == []


def test_an_empty_picture_has_nobody():
    assert people_of(np.zeros((38, *SIZE), np.float32), np.zeros((19, *SIZE), np.float32)) == []


def test_joints_without_fields_between_them_are_nobody():
    fields, heats = maps_of([standing()], *SIZE, spread=5, breadth=4)
    assert people_of(0 * fields, heats) == []
    assert people_of(-fields, heats) == []


def test_peaks_are_the_hottest_places():
    _, heats = maps_of([{0: (0.25, 0.5)}, {0: (0.75, 0.25)}], *SIZE, spread=5, breadth=4)
    peaks = sorted(peaks_of(heats[0]))
    assert [(each.x, each.y) for each in peaks] == [(60, 92), (180, 46)]
    assert all(0.9 < each.score <= 1 for each in peaks)
    assert peaks_of(0.09 * heats[0]) == []


def test_a_hot_place_at_the_rim_is_a_peak():
    heat = np.zeros(SIZE, np.float32)
    heat[:9, :9] = 1
    (peak,) = peaks_of(heat)
    assert (peak.x, peak.y) == (0, 0)


def test_limbs_join_every_joint_to_the_neck():
    reached = {1}
    for start, end in LIMBS[:17]:
        assert start in reached
        reached.add(end)
    assert reached == set(range(18))


def test_joining_two_sums_what_they_have():
    one, other = Person({1: "a"}, 2.0, 3), Person({2: "b"}, 1.5, 2)
    one.join(other, 0.5)
    assert (one.joints, one.score, one.count) == ({1: "a", 2: "b"}, 4.0, 5)
