"""M-LSD gives what its published definition gives, written out plainly."""

import torch
import torch.nn.functional as F

from pochade.networks.annotators.mlsd import MLSD
from tests.networks.annotators.published import MOBILE, mlsd, state_of


class Plain:
    """The published definition, a function for each of its kinds of layers."""

    def __init__(self, state):
        self.state = state

    def normed(self, name, x):
        mean, variance, weight, bias = (
            self.state[f"{name}.{each}"].view(1, -1, 1, 1) for each in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / (variance + 1e-5) ** 0.5 * weight + bias

    def unit(self, name, x, stride=1):
        weight = self.state[f"{name}.0.weight"]
        groups = x.shape[1] if weight.shape[1] == 1 else 1
        x = F.pad(x, (0, 1, 0, 1)) if stride == 2 else F.pad(x, (weight.shape[-1] // 2,) * 4)
        return F.relu6(self.normed(f"{name}.1", F.conv2d(x, weight, stride=stride, groups=groups)))

    def bottleneck(self, name, x, times, stride):
        inner = self.unit(f"{name}.0", x) if times > 1 else x
        first = int(times > 1)
        inner = self.unit(f"{name}.{first}", inner, stride)
        inner = self.normed(f"{name}.{first + 2}", F.conv2d(inner, self.state[f"{name}.{first + 1}.weight"]))
        return x + inner if stride == 1 and inner.shape == x.shape else inner

    def row(self, name, x, reach=1):
        weight, bias = self.state[f"{name}.0.weight"], self.state[f"{name}.0.bias"]
        x = F.conv2d(x, weight, bias, padding=reach * (weight.shape[-1] // 2), dilation=reach)
        return self.normed(f"{name}.1", x).relu()

    def maps(self, pictures):
        x = torch.cat([pictures, torch.ones_like(pictures[:, :1])], 1) / 127.5 - 1
        x, number, seen = self.unit("backbone.features.0", x, 2), 1, []
        for row, (times, _, count) in enumerate(MOBILE):
            for index in range(count):
                stride = 2 if index == 0 and row in (1, 2, 3) else 1
                x = self.bottleneck(f"backbone.features.{number}.conv", x, times, stride)
                number += 1
            seen.append(x)
        *finer, x = seen
        for block, features in zip((15, 17, 19, 21), reversed(finer), strict=True):
            x = self.row(f"block{block}.conv1", x)
            x = x if block == 15 else F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)
            x = torch.cat([self.row(f"block{block}.conv2", features), x], 1)
            x = self.row(f"block{block + 1}.conv2", self.row(f"block{block + 1}.conv1", x) + x)
        x = self.row("block23.conv2", self.row("block23.conv1", x, 5))
        return F.conv2d(x, self.state["block23.conv3.weight"], self.state["block23.conv3.bias"])[:, 7:]


def without_counters(shapes):
    return {name: shape for name, shape in shapes.items() if not name.endswith("num_batches_tracked")}


@torch.no_grad()
def test_maps_are_those_of_the_definition():
    state = {name: value.double() for name, value in without_counters(state_of(mlsd())).items()}
    network = MLSD({name: tuple(value.shape) for name, value in state.items()}).double()
    network.load_state_dict(state)
    pictures = torch.rand(1, 3, 64, 128, dtype=torch.float64) * 255
    maps = network(pictures)
    torch.testing.assert_close(maps, Plain(state).maps(pictures))
    assert maps.shape == (1, 9, 32, 64) and maps.std() > 0.01


def test_names_and_shapes_are_those_of_the_file():
    with torch.device("meta"):
        network = MLSD(mlsd())
    found = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    assert found == without_counters(mlsd())
