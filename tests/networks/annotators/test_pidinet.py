"""PiDiNet gives what its published definition gives, in which differences are taken before they are weighted."""

import pytest
import torch
import torch.nn.functional as F

from pochade.networks.annotators.pidinet import Angular, Central, Difference, PiDiNet, Radial
from tests.networks.annotators.published import pidinet, state_of


def around(x, reach):
    """[B, C, 8, h, w]: the pixels at so many steps in eight directions, row by row."""
    padded = F.pad(x, (2, 2, 2, 2))
    height, width = x.shape[-2:]
    steps = [(row, column) for row in (-1, 0, 1) for column in (-1, 0, 1) if row or column]
    places = [(2 + reach * row, 2 + reach * column) for row, column in steps]
    return torch.stack([padded[..., row : row + height, column : column + width] for row, column in places], 2)


def weighted(differences, filters, places):
    """Differences of one channel each, summed by the filters' weights at the places."""
    return torch.einsum("bcphw,ocp->bohw", differences, filters.flatten(2)[:, :, places])


OUTER = [0, 1, 2, 3, 5, 6, 7, 8]  # places of a filter without the middle


def central(x, filters):
    return weighted(around(x, 1) - x[:, :, None], filters, OUTER)


def angular(x, filters):
    ring = around(x, 1)
    following = [1, 2, 4, 0, 7, 3, 5, 6]  # each place's next one around the middle, clockwise
    return weighted(ring - ring[:, :, following], filters, OUTER)


def radial(x, filters):
    # as published, the first weight has no use, and not the one in the middle
    return weighted(around(x, 2) - around(x, 1), filters, list(range(1, 9)))


@pytest.mark.parametrize(("kind", "plainly"), [(Central, central), (Angular, angular), (Radial, radial)])
@torch.no_grad()
def test_differences_are_taken_before_they_are_weighted(kind, plainly):
    network, x = kind(3, 5, 3, bias=False), torch.randn(2, 3, 9, 11)
    torch.testing.assert_close(network(x), plainly(x, network.weight), atol=1e-5, rtol=1e-5)


def network_of(state):
    network = PiDiNet({name: tuple(value.shape) for name, value in state.items()})
    network.load_state_dict(state)
    return network


@torch.no_grad()
def test_edges_are_voted_by_four_levels():
    state = state_of(pidinet(8, 4))
    network, pictures = network_of(state), torch.rand(1, 3, 32, 64) * 255

    def conv(name, x, **options):
        return F.conv2d(x, state[f"{name}.weight"], state.get(f"{name}.bias"), **options)

    x, votes = network.init_block(pictures[:, [2, 1, 0]] / 255), []
    for level, blocks in enumerate((3, 4, 4, 4)):
        for block in range(1, blocks + 1):
            name = f"block{level + 1}_{block}"
            x = F.max_pool2d(x, 2) if f"{name}.shortcut.weight" in state else x
            found = conv(f"{name}.conv2", network.get_submodule(f"{name}.conv1")(x).relu())
            x = found + (conv(f"{name}.shortcut", x) if f"{name}.shortcut.weight" in state else x)
        wide = conv(f"dilations.{level}.conv1", x.relu())
        seen = sum(
            conv(f"dilations.{level}.conv2_{branch}", wide, padding=3 + 2 * branch, dilation=3 + 2 * branch)
            for branch in range(1, 5)
        )
        told = conv(f"attentions.{level}.conv2", conv(f"attentions.{level}.conv1", seen.relu()), padding=1)
        votes.append(conv(f"conv_reduces.{level}.conv", seen * torch.sigmoid(told)))
        votes[-1] = F.interpolate(votes[-1], (32, 64), mode="bilinear", align_corners=False)
    expected = torch.sigmoid(conv("classifier", torch.cat(votes, 1)))
    torch.testing.assert_close(network(pictures), expected, atol=1e-5, rtol=0)
    assert expected.std() > 0.05


def test_kinds_of_differences_take_turns():
    with torch.device("meta"):
        network = PiDiNet(pidinet())
    kinds = [type(each) for each in network.modules() if isinstance(each, Difference)]
    assert kinds == [Central, Angular, Radial, Difference] * 4
    assert {name: tuple(value.shape) for name, value in network.state_dict().items()} == pidinet()
