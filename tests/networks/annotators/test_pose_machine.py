"""Pose machines give what their published definitions give, written out plainly."""

import pytest
import torch
import torch.nn.functional as F

from pochade.networks.annotators.pose_machine import BODY, PART, PoseMachine
from tests.networks.annotators.published import body, body_part, state_of


def through(state, names, x):
    """A stage: no activation after its last convolution."""
    for name in names:
        weight = state[f"{name}.weight"]
        x = F.conv2d(x, weight, state[f"{name}.bias"], padding=weight.shape[-1] // 2)
        x = x if name == names[-1] else x.relu()
    return x


def trunk(state, last, pictures):
    x = pictures[:, [2, 1, 0]] / 256 - 0.5
    names = [each.removesuffix(".weight") for each in state if each.endswith("weight")]
    for name in names[: names.index(last) + 1]:
        x = F.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"], padding=1).relu()
        x = F.max_pool2d(x, 2) if name in ("conv1_2", "conv2_2", "conv3_4") else x
    return x


@torch.no_grad()
def test_a_body_is_seen_in_two_branches():
    state = state_of(body(4))
    network = PoseMachine({name: tuple(value.shape) for name, value in state.items()}, BODY)
    network.load_state_dict(state)
    pictures = torch.rand(1, 3, 64, 72) * 255
    features = trunk(state, "conv4_4_CPM", pictures)
    fields, heats = (through(state, [f"conv5_{row}_CPM_L{each}" for row in range(1, 6)], features) for each in (1, 2))
    for stage in range(2, 7):
        seen = torch.cat([fields, heats, features], 1)
        names = ([f"Mconv{row}_stage{stage}_L{each}" for row in range(1, 8)] for each in (1, 2))
        fields, heats = (through(state, each, seen) for each in names)
    maps = network(pictures)
    torch.testing.assert_close(maps, torch.cat([fields, heats.relu()], 1), atol=1e-5, rtol=1e-4)
    assert maps.shape == (1, 57, 8, 9) and maps.std() > 0.01 and maps[:, :38].min() < 0 == maps[:, 38:].min()


@pytest.mark.parametrize("count", [22, 71])
@torch.no_grad()
def test_a_hand_or_a_face_is_seen_in_one(count):
    state = state_of(body_part(4, count))
    network = PoseMachine({name: tuple(value.shape) for name, value in state.items()}, PART)
    network.load_state_dict(state)
    pictures = torch.rand(1, 3, 64, 64) * 255
    features = trunk(state, "conv5_3_CPM", pictures)
    heats = through(state, ["conv6_1_CPM", "conv6_2_CPM"], features)
    for stage in range(2, 7):
        heats = through(state, [f"Mconv{row}_stage{stage}" for row in range(1, 8)], torch.cat([heats, features], 1))
    torch.testing.assert_close(network(pictures), heats, atol=1e-5, rtol=1e-4)
    assert heats.shape == (1, count, 8, 8)


@pytest.mark.parametrize(("layout", "shapes"), [(BODY, body()), (PART, body_part()), (PART, body_part(maps=71))])
def test_names_and_shapes_are_those_of_the_file(layout, shapes):
    with torch.device("meta"):
        network = PoseMachine(shapes, layout)
    assert {name: tuple(value.shape) for name, value in network.state_dict().items()} == shapes
