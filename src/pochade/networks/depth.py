"""MiDaS' depth estimator DPT-hybrid (Ranftl et al. 2021, arXiv:2103.13413), which SD 2's depth model carries.

A residual network finds features, a vision transformer relates them, a decoder fuses what both saw at four sizes.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pochade.networks.depth_encoder import PATCH, Encoder
from pochade.networks.layers import conv_of
from pochade.networks.shapes import Shapes, within

_MULTIPLE = 2 * PATCH  # the coarsest features are half as fine as the patches


class DepthModel(nn.Module):
    """Pictures to inverse depth: the larger the nearer, without a scale.

    `shapes` are the names and shapes below `depth_model.model.`; `head_width` is the width of one attention head. What
    the original has beyond, a classifier and its norm, takes no part and is left in the file.
    """

    def __init__(self, shapes: Shapes, head_width: int = 64) -> None:
        super().__init__()
        self.pretrained = Encoder(within(shapes, "pretrained."), head_width)
        self.scratch = Decoder(within(shapes, "scratch."))

    def forward(self, pictures: Tensor) -> Tensor:
        """Pictures [B, 3, H, W] in -1..1 of any size to depth [B, 1, h, w], of the size of `midas_pixels`."""
        transformer = self.pretrained.model
        return self.estimate(midas_pixels(pictures, transformer.side).to(transformer.cls_token.dtype))

    def estimate(self, pixels: Tensor) -> Tensor:
        """Pixels as `midas_pixels` gives them [B, 3, h, w] to depth [B, 1, h, w]."""
        depth: Tensor = self.scratch(self.pretrained(pixels))
        return depth


class Decoder(nn.Module):
    """Fuses features from the coarsest to the finest, and reads the depth from them."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        self.layer1_rn = conv_of(shapes, "layer1_rn", bias=False)
        self.layer2_rn = conv_of(shapes, "layer2_rn", bias=False)
        self.layer3_rn = conv_of(shapes, "layer3_rn", bias=False)
        self.layer4_rn = conv_of(shapes, "layer4_rn", bias=False)
        self.refinenet1 = Fusion(within(shapes, "refinenet1."))
        self.refinenet2 = Fusion(within(shapes, "refinenet2."))
        self.refinenet3 = Fusion(within(shapes, "refinenet3."))
        self.refinenet4 = Fusion(within(shapes, "refinenet4."))
        self.output_conv = nn.Sequential(
            conv_of(shapes, "output_conv.0"),
            nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True),
            conv_of(shapes, "output_conv.2"), nn.ReLU(),
            conv_of(shapes, "output_conv.4"), nn.ReLU(),
        )  # fmt: skip

    def forward(self, features: list[Tensor]) -> Tensor:
        """Features of h/4, h/8, h/16 and h/32 to depth [B, 1, h, w]."""
        first, second, third, fourth = features
        x = self.refinenet4(self.layer4_rn(fourth), None)
        x = self.refinenet3(self.layer3_rn(third), x)
        x = self.refinenet2(self.layer2_rn(second), x)
        x = self.refinenet1(self.layer1_rn(first), x)
        depth: Tensor = self.output_conv(x)
        return depth


class Fusion(nn.Module):
    """Adds the features of one level to what came from the coarser ones, and doubles height and width."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        self.resConfUnit1 = Residual(within(shapes, "resConfUnit1."))
        self.resConfUnit2 = Residual(within(shapes, "resConfUnit2."))
        self.out_conv = conv_of(shapes, "out_conv")

    def forward(self, features: Tensor, coarser: Tensor | None) -> Tensor:
        """[B, C, h, w] each to [B, C, 2 h, 2 w]; the coarsest level comes alone and has no use for its first unit."""
        x = features if coarser is None else coarser + self.resConfUnit1(features)
        x = F.interpolate(self.resConfUnit2(x), scale_factor=2, mode="bilinear", align_corners=True)
        result: Tensor = self.out_conv(x)
        return result


class Residual(nn.Module):
    """Two convolutions, each after an activation, beside a shortcut."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        self.conv1 = conv_of(shapes, "conv1")
        self.conv2 = conv_of(shapes, "conv2")

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, h, w] to the same shape."""
        result: Tensor = x + self.conv2(F.relu(self.conv1(F.relu(x))))
        return result


def midas_pixels(pictures: Tensor, side: int = 384) -> Tensor:
    """Pictures [B, 3, H, W] in -1..1 as MiDaS sees them: resized by cubic interpolation, in float32, in the same range.

    As in the original, both edges are scaled alike, then rounded to multiples of 32. Of the factors that would make the
    height or the width `side`, the one nearer to 1 counts: a large picture's shorter edge becomes 384, a small one's
    longer edge.
    """
    height, width = pictures.shape[-2:]
    factor = min((side / height, side / width), key=lambda each: abs(1 - each))
    size = [max(1, round(factor * edge / _MULTIPLE)) * _MULTIPLE for edge in (height, width)]
    return F.interpolate(pictures.float(), size, mode="bicubic")


def depth_condition(depth: Tensor, size: tuple[int, int]) -> Tensor:
    """Depth [B, 1, H, W] as the depth model's UNet takes it beside latents of `size`: [B, 1, h, w], -1 far to 1 near.

    Each picture has its own scale; one without any depth is far everywhere.
    """
    resized = F.interpolate(depth.float(), size, mode="bicubic")
    low, high = (find(resized, dim=(1, 2, 3), keepdim=True) for find in (torch.amin, torch.amax))
    return 2 * (resized - low) / (high - low).clamp(min=torch.finfo(resized.dtype).tiny) - 1
