"""Straight lines (M-LSD, Gu et al. 2021, arXiv:2106.00186): a MobileNet that sees, and a decoder to lines' middles."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pochade.networks.layers import conv_of, parameter_of
from pochade.networks.shapes import Shapes, children, within

_SEEN = (1, 3, 6, 10, 13)  # after these blocks, each but the last at half the size of the one before
_HALVING = (0, 2, 4, 7)  # these blocks come to half the size
_UNUSED = 7  # channels before those that the large model was trained to give
_REACH = 5  # of the last block's first convolution


class MLSD(nn.Module):
    """The large model. Of its maps the first tells where lines have their middle, the next four how far from there
    they begin and end (x, y, x, y).
    """

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        self.backbone = Backbone(within(shapes, "backbone."))
        for number in (15, 17, 19, 21):
            self.add_module(f"block{number}", Meeting(within(shapes, f"block{number}.")))
            self.add_module(f"block{number + 1}", Mixing(within(shapes, f"block{number + 1}.")))
        self.block23 = Reading(within(shapes, "block23."))

    def forward(self, pictures: Tensor) -> Tensor:
        """Pictures [B, 3, H, W] in 0..255 to maps [B, 9, H / 2, W / 2]."""
        flat = torch.ones_like(pictures[:, :1])  # a channel that is the same everywhere
        *finer, x = self.backbone(torch.cat([pictures, flat], dim=1) / 127.5 - 1)
        for number, features in zip((15, 17, 19, 21), reversed(finer), strict=True):
            x = self.get_submodule(f"block{number + 1}")(self.get_submodule(f"block{number}")(features, x))
        maps: Tensor = self.block23(x)[:, _UNUSED:]
        return maps


class Backbone(nn.Module):
    """MobileNetV2 (Sandler et al. 2018, arXiv:1801.04381) up to its features of 1/16."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        blocks = within(shapes, "features.")
        first = Unit(within(blocks, "0."), stride=2)
        others = (
            Bottleneck(within(blocks, f"{index}."), 2 if int(index) in _HALVING else 1)
            for index in children(blocks)[1:]
        )
        self.features = nn.ModuleList([first, *others])

    def forward(self, x: Tensor) -> list[Tensor]:
        """[B, 4, H, W] to features of 1/2, 1/4, 1/8, 1/16 and 1/16."""
        seen = []
        for index, block in enumerate(self.features):
            x = block(x)
            seen += [x] if index in _SEEN else []
        return seen


class Unit(nn.ModuleList):
    """A convolution, a norm and an activation that ends at 6."""

    def __init__(self, shapes: Shapes, stride: int = 1) -> None:
        outputs, inputs, kernel, _ = shapes["0.weight"]
        groups = outputs if inputs == 1 else 1
        padding = 0 if stride == 2 else kernel // 2
        conv = nn.Conv2d(inputs * groups, outputs, kernel, stride, padding, groups=groups, bias=False)
        super().__init__([conv, FixedNorm(within(shapes, "1."))])
        self.rim = (0, 1, 0, 1) if stride == 2 else (0, 0, 0, 0)  # as in TensorFlow, at two sides only

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, h, w] to [B, C', h, w] or half of that."""
        conv, norm = self
        return F.relu6(norm(conv(F.pad(x, self.rim))))


class Bottleneck(nn.Module):
    """Wider, each channel by itself, and narrower again; beside a shortcut where the shape stays."""

    def __init__(self, shapes: Shapes, stride: int) -> None:
        super().__init__()
        *units, project, norm = children(within(shapes, "conv."))
        inner = [within(shapes, f"conv.{index}.") for index in units]
        layers = [Unit(each, stride if each is inner[-1] else 1) for each in inner]
        projection = conv_of(shapes, f"conv.{project}", bias=False)
        self.conv = nn.Sequential(*layers, projection, FixedNorm(within(shapes, f"conv.{norm}.")))
        self.is_residual = stride == 1 and inner[0]["0.weight"][1] == projection.out_channels

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, h, w] to [B, C', h, w] or half of that."""
        result: Tensor = self.conv(x)
        return x + result if self.is_residual else result


class FixedNorm(nn.Module):
    """A batch norm with the statistics of its training."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        self.weight = parameter_of(shapes, "weight")
        self.bias = parameter_of(shapes, "bias")
        self.running_mean = parameter_of(shapes, "running_mean")
        self.running_var = parameter_of(shapes, "running_var")

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, h, w] to the same."""
        return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias)


class Meeting(nn.Module):
    """Finer and coarser features, at the finer ones' size."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        self.conv1 = _row(shapes, "conv1")
        self.conv2 = _row(shapes, "conv2")

    def forward(self, finer: Tensor, coarser: Tensor) -> Tensor:
        """[B, C, h, w] each, the coarser ones of half the size or the same, to [B, C', h, w]."""
        coarser = F.interpolate(self.conv1(coarser), finer.shape[-2:], mode="bilinear", align_corners=True)
        return torch.cat([self.conv2(finer), coarser], dim=1)


class Mixing(nn.Module):
    """A convolution beside a shortcut, and one that narrows."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        self.conv1 = _row(shapes, "conv1")
        self.conv2 = _row(shapes, "conv2")

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, h, w] to [B, C', h, w]."""
        result: Tensor = self.conv2(self.conv1(x) + x)
        return result


class Reading(nn.Module):
    """Looks far around, and gives the maps."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        self.conv1 = _row(shapes, "conv1", _REACH)
        self.conv2 = _row(shapes, "conv2")
        self.conv3 = conv_of(shapes, "conv3")

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, h, w] to [B, 16, h, w]."""
        result: Tensor = self.conv3(self.conv2(self.conv1(x)))
        return result


def _row(shapes: Shapes, name: str, reach: int = 1) -> nn.Sequential:
    """A convolution whose places are `reach` apart, a norm and an activation."""
    inner = within(shapes, f"{name}.")
    outputs, inputs, kernel, _ = inner["0.weight"]
    conv = nn.Conv2d(inputs, outputs, kernel, padding=reach * (kernel // 2), dilation=reach)
    return nn.Sequential(conv, FixedNorm(within(inner, "1.")), nn.ReLU())
