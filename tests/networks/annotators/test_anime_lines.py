"""The U-Net of anime lines gives what its published definition gives, level within level."""

import pytest
import torch
import torch.nn.functional as F

from pochade.networks.annotators.anime_lines import AnimeLines
from tests.networks.annotators.published import anime_lines, state_of


def level(state, name, x, depth, number=0):
    def tensors(place):
        return state[f"{name}.model.{place}.weight"], state[f"{name}.model.{place}.bias"]

    if number == 0:
        x = F.conv2d(x, *tensors(0), stride=2, padding=1)
        inner = level(state, f"{name}.model.1", x, depth, 1)
        return F.conv_transpose2d(inner.relu(), *tensors(3), stride=2, padding=1).tanh()
    down = F.conv2d(F.leaky_relu(x, 0.2), *tensors(1), stride=2, padding=1)
    if number == depth - 1:
        up = F.conv_transpose2d(down.relu(), *tensors(3), stride=2, padding=1)
    else:
        inner = level(state, f"{name}.model.3", F.instance_norm(down), depth, number + 1)
        up = F.conv_transpose2d(inner.relu(), *tensors(5), stride=2, padding=1)
    return torch.cat([x, F.instance_norm(up)], 1)


@pytest.mark.parametrize(("depth", "size"), [(3, (16, 8)), (4, (32, 48))])
@torch.no_grad()
def test_lines_are_those_of_the_definition(depth, size):
    state = state_of(anime_lines(4, depth))
    network = AnimeLines({name: tuple(value.shape) for name, value in state.items()})
    network.load_state_dict(state)
    pictures = torch.randint(0, 256, (1, 3, *size)).float()
    expected = level(state, "model", pictures / 127.5 - 1, depth) / 2 + 0.5
    torch.testing.assert_close(network(pictures), expected, atol=1e-5, rtol=0)
    assert expected.std() > 0.01


@torch.no_grad()
def test_pictures_of_other_sizes_are_seen_larger():
    state = state_of(anime_lines(4, 4))
    network = AnimeLines({name: tuple(value.shape) for name, value in state.items()})
    network.load_state_dict(state)
    assert network(torch.rand(1, 3, 40, 20) * 255).shape == (1, 1, 40, 20)


def test_names_and_shapes_are_those_of_the_file():
    with torch.device("meta"):
        network = AnimeLines(anime_lines())
    assert {name: tuple(value.shape) for name, value in network.state_dict().items()} == anime_lines()
    assert network.multiple == 256
