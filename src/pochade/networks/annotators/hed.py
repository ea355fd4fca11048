"""Edges from nested levels (HED, Xie & Tu 2015, arXiv:1504.06375), in the form that ControlNet trained anew."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pochade.networks.layers import conv_of, parameter_of
from pochade.networks.shapes import Shapes, children, within


class HED(nn.Module):
    """Five rows of convolutions, each of half the size of the one before, and each with its own idea of the edges."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        self.norm = parameter_of(shapes, "norm")
        self.block1 = Row(within(shapes, "block1."))
        self.block2 = Row(within(shapes, "block2."))
        self.block3 = Row(within(shapes, "block3."))
        self.block4 = Row(within(shapes, "block4."))
        self.block5 = Row(within(shapes, "block5."))

    def forward(self, pictures: Tensor) -> Tensor:
        """Pictures [B, 3, H, W] in 0..255 to how surely each pixel is an edge, [B, 1, H, W] in 0..1."""
        x, edges = self.block1(pictures - self.norm)
        found = [edges]
        for block in (self.block2, self.block3, self.block4, self.block5):
            x, edges = block(F.max_pool2d(x, 2))
            found.append(F.interpolate(edges, pictures.shape[-2:], mode="bilinear"))
        return torch.stack(found).mean(0).sigmoid()


class Row(nn.Module):
    """Convolutions, each before an activation, and a projection to edges."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        rows = within(shapes, "convs.")
        self.convs = nn.ModuleList(conv_of(rows, index) for index in children(rows))
        self.projection = conv_of(shapes, "projection")

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """[B, C, h, w] to features [B, C', h, w] and edges [B, 1, h, w]."""
        for conv in self.convs:
            x = F.relu(conv(x))
        return x, self.projection(x)
