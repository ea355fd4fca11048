"""The generator of line drawings gives what its published definition gives, written out plainly."""

import torch
import torch.nn.functional as F

from pochade.networks.annotators.line_drawing import LineDrawing
from tests.networks.annotators.published import line_drawing, state_of


def plainly(state, x):
    def conv(name, x, reach=0, stride=1, padding=0):
        x = F.pad(x, (reach,) * 4, mode="reflect") if reach else x
        return F.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"], stride, padding)

    def doubled(name, x):
        return F.conv_transpose2d(x, state[f"{name}.weight"], state[f"{name}.bias"], 2, 1, 1)

    x = F.instance_norm(conv("model0.1", x / 255, reach=3)).relu()
    for place in (0, 3):
        x = F.instance_norm(conv(f"model1.{place}", x, stride=2, padding=1)).relu()
    for block in range(3):
        inner = F.instance_norm(conv(f"model2.{block}.conv_block.1", x, reach=1)).relu()
        x = x + F.instance_norm(conv(f"model2.{block}.conv_block.5", inner, reach=1))
    for place in (0, 3):
        x = F.instance_norm(doubled(f"model3.{place}", x)).relu()
    return torch.sigmoid(conv("model4.1", x, reach=3))


@torch.no_grad()
def test_lines_are_those_of_the_definition():
    state = state_of(line_drawing(8))
    network = LineDrawing({name: tuple(value.shape) for name, value in state.items()})
    network.load_state_dict(state)
    pictures = torch.rand(2, 3, 64, 128) * 255
    lines = network(pictures)
    torch.testing.assert_close(lines, plainly(state, pictures), atol=1e-5, rtol=0)
    assert lines.shape == (2, 1, 64, 128) and lines.std() > 0.05


def test_names_and_shapes_are_those_of_the_file():
    with torch.device("meta"):
        network = LineDrawing(line_drawing())
    assert {name: tuple(value.shape) for name, value in network.state_dict().items()} == line_drawing()
