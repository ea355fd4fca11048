"""Edges from differences of pixels (PiDiNet, Su et al. 2021, arXiv:2108.07009).

A convolution of differences is a usual one with other filters, into which its own are turned here.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pochade.networks.layers import conv_of
from pochade.networks.shapes import Shapes, children, within

_LEVELS = ((1, 3), (2, 4), (3, 4), (4, 4))  # each level's number and how many blocks it has
_CLOCKWISE = [3, 0, 1, 6, 4, 2, 7, 8, 5]  # of a filter's nine places the one before each, around the middle
_OUTER = [0, 2, 4, 10, 14, 20, 22, 24]  # of a filter of 5 x 5, in the eight directions: those at the rim
_INNER = [6, 7, 8, 11, 13, 16, 17, 18]  # and those next to the middle


class PiDiNet(nn.Module):
    """Four levels of blocks of differences, each with its own idea of the edges, and a vote among them."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        self.init_block = difference_of(shapes, "init_block", 0)
        for place, name in enumerate(_blocks(), 1):
            self.add_module(name, Block(within(shapes, f"{name}."), place))
        self.dilations = nn.ModuleList(Dilations(each) for each in _rows(shapes, "dilations."))
        self.attentions = nn.ModuleList(Attention(each) for each in _rows(shapes, "attentions."))
        self.conv_reduces = nn.ModuleList(Reduction(each) for each in _rows(shapes, "conv_reduces."))
        self.classifier = conv_of(shapes, "classifier")

    def forward(self, pictures: Tensor) -> Tensor:
        """Pictures [B, 3, H, W] in 0..255 to how surely each pixel is an edge, [B, 1, H, W] in 0..1."""
        x = self.init_block(pictures.flip(1) / 255)  # it was trained on blue, green, red
        votes = []
        for (level, count), dilate, attend, reduce in zip(
            _LEVELS, self.dilations, self.attentions, self.conv_reduces, strict=True
        ):
            for number in range(1, count + 1):
                x = self.get_submodule(f"block{level}_{number}")(x)
            votes.append(F.interpolate(reduce(attend(dilate(x))), pictures.shape[-2:], mode="bilinear"))
        edges: Tensor = self.classifier(torch.cat(votes, dim=1))
        return edges.sigmoid()


class Block(nn.Module):
    """Differences within each channel, then a mix of the channels, beside a shortcut; one with weights of its own
    comes after a halving.
    """

    def __init__(self, shapes: Shapes, place: int) -> None:
        super().__init__()
        self.conv1 = difference_of(shapes, "conv1", place, groups=shapes["conv1.weight"][0])
        self.conv2 = conv_of(shapes, "conv2", bias=False)
        self.shortcut = conv_of(shapes, "shortcut") if "shortcut.weight" in shapes else None

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, h, w] to [B, C, h, w], or to [B, C', h / 2, w / 2]."""
        if self.shortcut is not None:
            x = F.max_pool2d(x, 2)
        result: Tensor = self.conv2(F.relu(self.conv1(x)))
        return result + (x if self.shortcut is None else self.shortcut(x))


class Difference(nn.Conv2d):
    """A convolution of pixels as they are, without a bias."""

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, h, w] to [B, C', h, w]."""
        filters = self.filters()
        return F.conv2d(x, filters, padding=filters.shape[-1] // 2, groups=self.groups)

    def filters(self) -> Tensor:
        """The filters of a usual convolution that gives the same."""
        return self.weight


class Central(Difference):
    """A convolution of what pixels differ from the one in the middle."""

    def filters(self) -> Tensor:
        """What each pixel counts, the one in the middle counts less."""
        middle = torch.zeros_like(self.weight)
        middle[:, :, 1, 1] = self.weight.sum((2, 3))
        return self.weight - middle


class Angular(Difference):
    """A convolution of what pixels differ from their neighbours around the middle."""

    def filters(self) -> Tensor:
        """What each pixel counts, the next one counts less."""
        around = self.weight.flatten(2)
        return (around - around[:, :, _CLOCKWISE]).view_as(self.weight)


class Radial(Difference):
    """A convolution of what pixels differ from those between them and the middle."""

    def filters(self) -> Tensor:
        """Filters of 5 x 5; as published, the first weight has no use."""
        directions = self.weight.flatten(2)[:, :, 1:]
        wide = directions.new_zeros(*directions.shape[:2], 25)
        wide[:, :, _OUTER] = directions
        wide[:, :, _INNER] = -directions
        return wide.view(*wide.shape[:2], 5, 5)


_KINDS = (Central, Angular, Radial, Difference)


def difference_of(shapes: Shapes, name: str, place: int, groups: int = 1) -> Difference:
    """The convolution at a place of the network's row of sixteen, in which four kinds take turns."""
    outputs, inputs, kernel, _ = shapes[f"{name}.weight"]
    return _KINDS[place % len(_KINDS)](inputs * groups, outputs, kernel, groups=groups, bias=False)


class Dilations(nn.Module):
    """Looks around each pixel at four distances."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        self.conv1 = conv_of(shapes, "conv1")
        for number, reach in enumerate((5, 7, 9, 11), 1):
            outputs, inputs, kernel, _ = shapes[f"conv2_{number}.weight"]
            conv = nn.Conv2d(inputs, outputs, kernel, padding=reach, dilation=reach, bias=False)
            self.add_module(f"conv2_{number}", conv)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, h, w] to [B, C', h, w]."""
        _, *around = self.children()
        x = self.conv1(F.relu(x))
        return torch.stack([each(x) for each in around]).sum(0)


class Attention(nn.Module):
    """Lets places count more or less."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        self.conv1 = conv_of(shapes, "conv1")
        self.conv2 = conv_of(shapes, "conv2", bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, h, w] to the same."""
        result: Tensor = x * self.conv2(self.conv1(F.relu(x))).sigmoid()
        return result


class Reduction(nn.Module):
    """Brings all channels to one map of edges."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        self.conv = conv_of(shapes, "conv")

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, h, w] to [B, 1, h, w]."""
        result: Tensor = self.conv(x)
        return result


def _blocks() -> list[str]:
    return [f"block{level}_{number}" for level, count in _LEVELS for number in range(1, count + 1)]


def _rows(shapes: Shapes, name: str) -> list[dict[str, tuple[int, ...]]]:
    rows = within(shapes, name)
    return [within(rows, f"{index}.") for index in children(rows)]
