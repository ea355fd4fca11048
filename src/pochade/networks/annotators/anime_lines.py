"""Lines of drawings and anime pictures: the U-Net of pix2pix (Isola et al. 2016, arXiv:1611.07004)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pochade.networks.layers import conv_of
from pochade.networks.shapes import Shapes, within

_SLOPE = 0.2  # of what is below zero, on the way down


class AnimeLines(nn.Module):
    """Levels within each other; the innermost sees the picture as a whole."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        self.model = Outermost(within(shapes, "model."))
        self.multiple = 2**self.model.depth

    def forward(self, pictures: Tensor) -> Tensor:
        """Pictures [B, 3, H, W] in 0..255 to dark lines on white paper, [B, 1, H, W] in 0..1."""
        size = pictures.shape[-2:]
        larger = [-(-side // self.multiple) * self.multiple for side in size]
        x = F.interpolate(pictures, larger, mode="bicubic").round().clamp(0, 255)
        lines = F.interpolate(self.model(x / 127.5 - 1), size, mode="bicubic")
        return (lines / 2 + 0.5).clamp(0, 1)


class Outermost(nn.Module):
    """The level that sees pixels."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        inner = Level(within(shapes, "model.1."))
        self.depth: int = 1 + inner.depth
        self.model = nn.Sequential(
            _halving_of(shapes, "model.0"),
            inner,
            nn.ReLU(),
            _doubling_of(shapes, "model.3"),
            nn.Tanh(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """[B, 3, h, w] to [B, 1, h, w], both in -1..1."""
        result: Tensor = self.model(x)
        return result


class Level(nn.Module):
    """Half the size, the next level, and the size again; the innermost has no further one, and no norm before it."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        down = _halving_of(shapes, "model.1")
        inner = Level(within(shapes, "model.3.")) if "model.5.weight" in shapes else None
        self.depth: int = 1 + (inner.depth if inner else 0)
        within_it = [nn.InstanceNorm2d(down.out_channels), inner] if inner else []
        up = _doubling_of(shapes, "model.5" if inner else "model.3")
        norm = nn.InstanceNorm2d(up.out_channels)
        self.model = nn.Sequential(nn.LeakyReLU(_SLOPE), down, *within_it, nn.ReLU(), up, norm)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, h, w] to what was there beside what was found, [B, 2 C, h, w]."""
        return torch.cat([x, self.model(x)], dim=1)


def _halving_of(shapes: Shapes, name: str) -> nn.Conv2d:
    return conv_of(shapes, name, stride=2, padding=1)


def _doubling_of(shapes: Shapes, name: str) -> nn.ConvTranspose2d:
    inputs, outputs, kernel, _ = shapes[f"{name}.weight"]
    return nn.ConvTranspose2d(inputs, outputs, kernel, stride=2, padding=1)
