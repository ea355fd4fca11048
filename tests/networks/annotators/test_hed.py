"""HED gives what its published definition gives, written out plainly."""

import torch
import torch.nn.functional as F

from pochade.networks.annotators.hed import HED
from tests.networks.annotators.published import hed, state_of


def plainly(state, pictures):
    x, found = pictures - state["norm"], []
    for number, layers in enumerate((2, 2, 3, 3, 3), 1):
        x = F.max_pool2d(x, kernel_size=2, stride=2) if number > 1 else x
        for layer in range(layers):
            name = f"block{number}.convs.{layer}"
            x = F.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"], padding=1).relu()
        name = f"block{number}.projection"
        edges = F.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"])
        found.append(F.interpolate(edges, pictures.shape[-2:], mode="bilinear", align_corners=False))
    return torch.sigmoid(sum(found) / len(found))


@torch.no_grad()
def test_edges_are_those_of_the_definition():
    state = state_of(hed(8))
    state["norm"] = torch.tensor([120.0, 110, 100]).view(1, 3, 1, 1)
    state |= {name: value * 0.02 for name, value in state.items() if "projection.weight" in name}
    network = HED({name: tuple(value.shape) for name, value in state.items()})
    network.load_state_dict(state)
    pictures = torch.rand(2, 3, 64, 128) * 255
    edges = network(pictures)
    torch.testing.assert_close(edges, plainly(state, pictures), atol=1e-5, rtol=0)
    assert edges.shape == (2, 1, 64, 128) and edges.std() > 0.05


def test_names_and_shapes_are_those_of_the_file():
    with torch.device("meta"):
        network = HED(hed())
    assert {name: tuple(value.shape) for name, value in network.state_dict().items()} == hed()
