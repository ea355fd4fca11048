"""Upscalers of ESRGAN's kind, named as in Real-ESRGAN; scale, depth and width are read from names and shapes."""

from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pochade.errors import MalformedFileError
from pochade.files import Weights
from pochade.kinds import upscaler as kind
from pochade.layouts import upscaler as layout
from pochade.networks.layers import conv_of
from pochade.networks.loading import load
from pochade.networks.shapes import Shape, Shapes, children, conv, joined, within
from pochade.networks.upscalers_foreign import ForeignUpscaler, load_foreign

_SLOPE = 0.2  # of what is below zero, in every activation
_SHARE = 0.2  # of what a residual branch adds
_CONVOLUTION = 4  # dimensions of its weight
_RGB = 3


class RRDBNet(nn.Module):
    """ESRGAN (Wang et al. 2018, arXiv:1809.00219) and Real-ESRGAN (2021, arXiv:2107.10833).

    Where fewer pixels come out than its enlargements would give, squares of pixels enter as channels.
    """

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        self.ups = [name for name in children(shapes) if name.startswith("conv_up")]
        self.scale = _scale(shapes)
        self.square = 2 ** len(self.ups) // self.scale
        self.conv_first = conv_of(shapes, "conv_first")
        blocks = within(shapes, "body.")
        self.body = nn.Sequential(*(RRDB(within(blocks, f"{index}.")) for index in children(blocks)))
        self.conv_body = conv_of(shapes, "conv_body")
        for name in self.ups:
            self.add_module(name, conv_of(shapes, name))
        self.conv_hr = conv_of(shapes, "conv_hr")
        self.conv_last = conv_of(shapes, "conv_last")
        self.channels = self.conv_last.out_channels

    def forward(self, x: Tensor) -> Tensor:
        """[B, 3, H, W] in 0..1 to [B, 3, scale * H, scale * W]."""
        height, width = x.shape[2:]
        mode = "reflect" if min(height, width) >= self.square else "replicate"
        x = F.pad(x, (0, -width % self.square, 0, -height % self.square), mode=mode)
        x = self.conv_first(F.pixel_unshuffle(x, self.square))
        x = x + self.conv_body(self.body(x))
        for name in self.ups:
            x = _activated(self.get_submodule(name)(F.interpolate(x, scale_factor=2)))
        x = self.conv_last(_activated(self.conv_hr(x)))
        return x[:, :, : height * self.scale, : width * self.scale]


class RRDB(nn.Module):
    """Three dense blocks in a residual branch."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        self.rdb1 = DenseBlock(within(shapes, "rdb1."))
        self.rdb2 = DenseBlock(within(shapes, "rdb2."))
        self.rdb3 = DenseBlock(within(shapes, "rdb3."))

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] to the same."""
        result: Tensor = self.rdb3(self.rdb2(self.rdb1(x))) * _SHARE + x
        return result


class DenseBlock(nn.Module):
    """Five convolutions, each of which sees what all before it saw; ESRGAN+ (arXiv:2001.08073) adds two short cuts."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        self.conv1 = conv_of(shapes, "conv1")
        self.conv2 = conv_of(shapes, "conv2")
        self.conv3 = conv_of(shapes, "conv3")
        self.conv4 = conv_of(shapes, "conv4")
        self.conv5 = conv_of(shapes, "conv5")
        self.has_short_cuts = "conv1x1.weight" in shapes
        if self.has_short_cuts:
            self.conv1x1 = conv_of(shapes, "conv1x1", bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] to the same."""
        x1 = _activated(self.conv1(x))
        x2 = _activated(self.conv2(torch.cat([x, x1], 1)))
        if self.has_short_cuts:
            x2 = x2 + self.conv1x1(x)
        x3 = _activated(self.conv3(torch.cat([x, x1, x2], 1)))
        x4 = _activated(self.conv4(torch.cat([x, x1, x2, x3], 1)))
        if self.has_short_cuts:
            x4 = x4 + x2
        result: Tensor = self.conv5(torch.cat([x, x1, x2, x3, x4], 1)) * _SHARE + x
        return result


class Compact(nn.Module):
    """Real-ESRGAN's small network: one row of convolutions, whose last channels become pixels."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        layers = within(shapes, "body.")
        self.body = nn.Sequential(*(_layer(layers, index) for index in children(layers)))
        self.scale = _scale(shapes)
        self.channels = layers["0.weight"][1]

    def forward(self, x: Tensor) -> Tensor:
        """[B, 3, H, W] in 0..1 to [B, 3, scale * H, scale * W]."""
        return F.pixel_shuffle(self.body(x), self.scale) + F.interpolate(x, scale_factor=self.scale)


UpscalerNetwork: TypeAlias = RRDBNet | Compact | ForeignUpscaler


def load_upscaler(weights: Weights, device: torch.device, dtype: torch.dtype) -> UpscalerNetwork:
    """The upscaler of a file; what is not of ESRGAN's kind is left to spandrel, where that is installed.

    Raises MalformedFileError for a file that holds none.
    """
    shapes = weights.shapes()
    network: UpscalerNetwork
    if kind.scale(shapes) is None:
        network = load_foreign(weights, device, dtype)
    elif kind.is_compact(shapes):
        network = load(Compact, weights, "", device, dtype)
    else:
        network = load(RRDBNet, layout.in_new_names(weights), "", device, dtype)
    if network.channels != _RGB:
        raise MalformedFileError(
            weights.path or "the weights",
            f"this upscaler takes pictures of {network.channels} channels; only those with {_RGB} (RGB) can be used.",
        )
    return network


def _scale(shapes: Shapes) -> int:
    scale = kind.scale(shapes)
    if scale is None:
        raise ValueError("the number of pixels that come out")
    return scale


def _layer(shapes: Shapes, index: str) -> nn.Module:
    shape = shapes[f"{index}.weight"]
    return conv_of(shapes, index) if len(shape) == _CONVOLUTION else nn.PReLU(shape[0])


def _activated(x: Tensor) -> Tensor:
    return F.leaky_relu(x, _SLOPE, inplace=True)


def rrdb_shapes(width: int, growth: int, blocks: int, ups: int, inputs: int = 3) -> dict[str, Shape]:
    """Names and shapes of an RRDB network; `growth` is the width that each convolution adds in a dense block."""
    parts: list[dict[str, Shape]] = [conv("conv_first", inputs, width, 3), conv("conv_last", width, 3, 3)]
    parts += [conv(name, width, width, 3) for name in ("conv_body", "conv_hr")]
    parts += [conv(f"conv_up{number}", width, width, 3) for number in range(1, ups + 1)]
    for name in (f"body.{block}.rdb{row}" for block in range(blocks) for row in (1, 2, 3)):
        parts += [conv(f"{name}.conv{each}", width + (each - 1) * growth, growth, 3) for each in (1, 2, 3, 4)]
        parts.append(conv(f"{name}.conv5", width + 4 * growth, width, 3))
    return joined(parts)


def compact_shapes(width: int, depth: int, scale: int) -> dict[str, Shape]:
    """Names and shapes of a compact network with `depth` convolutions between its first and last."""
    parts: list[dict[str, Shape]] = [conv("0", 3, width, 3), conv(f"{2 * depth + 2}", width, 3 * scale**2, 3)]
    parts += [conv(f"{2 * row}", width, width, 3) for row in range(1, depth + 1)]
    parts += [{f"{2 * row + 1}.weight": (width,)} for row in range(depth + 1)]
    return joined(parts, "body.")
