"""Photographs as line drawings (Chan et al. 2022, arXiv:2203.12691)."""

from torch import Tensor, nn

from pochade.networks.layers import conv_of
from pochade.networks.shapes import Shapes, children, within


class LineDrawing(nn.Module):
    """Convolutions that halve a picture twice, residual blocks, and the same way back to lines."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        self.model0 = nn.Sequential(nn.ReflectionPad2d(3), *_normed(conv_of(shapes, "model0.1", padding=0)))
        self.model1 = nn.Sequential(
            *_normed(conv_of(shapes, "model1.0", stride=2)),
            *_normed(conv_of(shapes, "model1.3", stride=2)),
        )
        blocks = within(shapes, "model2.")
        self.model2 = nn.Sequential(*(Residual(within(blocks, f"{index}.")) for index in children(blocks)))
        self.model3 = nn.Sequential(
            *_normed(_doubling_of(shapes, "model3.0")), *_normed(_doubling_of(shapes, "model3.3"))
        )
        self.model4 = nn.Sequential(nn.ReflectionPad2d(3), conv_of(shapes, "model4.1", padding=0), nn.Sigmoid())

    def forward(self, pictures: Tensor) -> Tensor:
        """Pictures [B, 3, H, W] in 0..255 to dark lines on white paper, [B, 1, H, W] in 0..1."""
        x = self.model1(self.model0(pictures / 255))
        lines: Tensor = self.model4(self.model3(self.model2(x)))
        return lines


class Residual(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        first, second = (conv_of(shapes, f"conv_block.{index}", padding=0) for index in (1, 5))
        self.conv_block = nn.Sequential(
            nn.ReflectionPad2d(1), *_normed(first),
            nn.ReflectionPad2d(1), second, nn.InstanceNorm2d(second.out_channels),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, h, w] to the same."""
        result: Tensor = x + self.conv_block(x)
        return result


def _doubling_of(shapes: Shapes, name: str) -> nn.ConvTranspose2d:
    inputs, outputs, kernel, _ = shapes[f"{name}.weight"]
    return nn.ConvTranspose2d(inputs, outputs, kernel, stride=2, padding=kernel // 2, output_padding=1)


def _normed(conv: nn.Conv2d | nn.ConvTranspose2d) -> tuple[nn.Module, nn.Module, nn.Module]:
    return conv, nn.InstanceNorm2d(conv.out_channels), nn.ReLU()
