"""The residual network before the depth model's transformer (BiT, Kolesnikov et al. 2019, arXiv:1912.11370).

Its filters are standardised (Qiao et al. 2019, arXiv:1903.10520), its paddings are TensorFlow's.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from pochade.networks.layers import group_norm_of
from pochade.networks.shapes import Shapes, children, within

_NORM_EPS = 1e-5
_FILTER_EPS = 1e-8


class ResNet(nn.Module):
    """Pictures to features, 4, 8, 16... times smaller, one set per stage."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        self.stem = Stem(within(shapes, "stem."))
        stages = within(shapes, "stages.")
        self.stages = nn.ModuleList(
            Stage(within(stages, f"{index}."), stride=1 if index == "0" else 2) for index in children(stages)
        )

    def forward(self, pixels: Tensor) -> list[Tensor]:
        """[B, 3, H, W] to features [B, C, H/4, W/4], [B, 2 C, H/8, W/8] and so on."""
        features = [self.stem(pixels)]
        for stage in self.stages:
            features.append(stage(features[-1]))
        return features[1:]


class Stem(nn.Module):
    """A wide convolution and a pooling, each of which halves height and width."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        self.conv = standard_conv_of(shapes, "conv", stride=2)
        self.norm = group_norm_of(shapes, "norm", _NORM_EPS)

    def forward(self, x: Tensor) -> Tensor:
        """[B, 3, H, W] to [B, C, H/4, W/4]."""
        return F.max_pool2d(_padded(F.relu(self.norm(self.conv(x))), 3, 2), 3, 2)


class Stage(nn.Module):
    """The blocks of one resolution; the first one steps down to it."""

    def __init__(self, shapes: Shapes, stride: int) -> None:
        super().__init__()
        blocks = within(shapes, "blocks.")
        self.blocks = nn.Sequential(
            *(Bottleneck(within(blocks, f"{index}."), stride if index == "0" else 1) for index in children(blocks))
        )

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] to [B, C', H', W']."""
        result: Tensor = self.blocks(x)
        return result


class Bottleneck(nn.Module):
    """Three convolutions, narrow in the middle, beside a shortcut."""

    def __init__(self, shapes: Shapes, stride: int) -> None:
        super().__init__()
        self.conv1 = standard_conv_of(shapes, "conv1")
        self.norm1 = group_norm_of(shapes, "norm1", _NORM_EPS)
        self.conv2 = standard_conv_of(shapes, "conv2", stride)
        self.norm2 = group_norm_of(shapes, "norm2", _NORM_EPS)
        self.conv3 = standard_conv_of(shapes, "conv3")
        self.norm3 = group_norm_of(shapes, "norm3", _NORM_EPS)
        self.downsample = (
            Downsample(within(shapes, "downsample."), stride) if "downsample.conv.weight" in shapes else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] to [B, C', H', W']."""
        hidden = F.relu(self.norm1(self.conv1(x)))
        hidden = F.relu(self.norm2(self.conv2(hidden)))
        return F.relu(self.norm3(self.conv3(hidden)) + self.downsample(x))


class Downsample(nn.Module):
    """The shortcut where width or resolution changes."""

    def __init__(self, shapes: Shapes, stride: int) -> None:
        super().__init__()
        self.conv = standard_conv_of(shapes, "conv", stride)
        self.norm = group_norm_of(shapes, "norm", _NORM_EPS)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] to [B, C', H', W']."""
        result: Tensor = self.norm(self.conv(x))
        return result


class StandardConv(nn.Conv2d):
    """A convolution whose filters are brought to mean 0 and variance 1 each time."""

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] to [B, C', ceil(H / stride), ceil(W / stride)]."""
        filters = F.layer_norm(self.weight, self.weight.shape[1:], eps=_FILTER_EPS)
        return F.conv2d(_padded(x, self.kernel_size[0], self.stride[0]), filters, stride=self.stride)


def standard_conv_of(shapes: Shapes, name: str, stride: int = 1) -> StandardConv:
    """A standardised convolution as wide as its weight's shape says."""
    outputs, inputs, kernel, _ = shapes[f"{name}.weight"]
    return StandardConv(inputs, outputs, kernel, stride, bias=False)


def _padded(x: Tensor, kernel: int, stride: int) -> Tensor:
    """Zeros around, so that every stride-th pixel gets one result; an odd one goes to the right and the bottom."""
    sides: list[int] = []
    for size in reversed(x.shape[-2:]):
        missing = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        sides += [missing // 2, missing - missing // 2]
    return F.pad(x, sides)
