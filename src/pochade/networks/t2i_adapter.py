"""T2I-Adapters (Mou et al. 2023, arXiv:2302.08453), named as in the original files: a hint becomes features, once for
all steps, that are added to those of the UNet on its way down.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pochade import layouts
from pochade.errors import MalformedFileError
from pochade.families import Family
from pochade.files import Weights
from pochade.networks.controlnet import block_width
from pochade.networks.layers import conv_of
from pochade.networks.loading import load
from pochade.networks.shapes import Shapes, children, within
from pochade.networks.unet import Downsample, UNet

_SMALL, _LARGE = 8, 16
_SQUARES = {64: _SMALL, 192: _SMALL, 256: _LARGE, 768: _LARGE}  # channels that enter -> side of the squares they were
_ROWS = 2  # blocks that give one set of features, in the full form
_HALVING_OF_LARGE = 2  # sets of features before the one that comes to half the size


class T2IAdapter(nn.Module):
    """The full form, with blocks in a row, or the light one, whose levels are narrow inside.

    Squares of pixels enter as channels: of 8 x 8, of the latents' size, or of 16 x 16 for SDXL, half of that. `places`
    are the numbers of the UNet's input blocks after which features are added; the middle block comes after the last.
    """

    def __init__(self, shapes: Shapes, places: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.places = places
        self.is_light = "body.0.out_conv.weight" in shapes
        self.inputs = shapes["body.0.in_conv.weight" if self.is_light else "conv_in.weight"][1]
        self.square = _SQUARES[self.inputs]
        rows = within(shapes, "body.")
        blocks = [within(rows, f"{index}.") for index in children(rows)]
        last = "out_conv.weight" if self.is_light else "block2.weight"
        self.widths = [each[last][0] for each in blocks][:: 1 if self.is_light else _ROWS]
        if self.is_light:
            self.body = nn.ModuleList(Level(each, halves=index > 0) for index, each in enumerate(blocks))
        else:
            self.conv_in = conv_of(shapes, "conv_in")
            self.body = nn.ModuleList(Block(each, self._halves(index)) for index, each in enumerate(blocks))

    def _halves(self, block: int) -> bool:
        """Whether a block of the full form begins with half the size."""
        number, inner = divmod(block, _ROWS)
        return not inner and (number == _HALVING_OF_LARGE if self.square == _LARGE else number > 0)

    def forward(self, hint: Tensor) -> list[Tensor]:
        """A hint [B, 3, H, W] of 0..1, of which some adapters see one channel, to features [B, C, h, w]."""
        height, width = hint.shape[-2:]
        whole = F.pad(hint, (0, -width % self.square, 0, -height % self.square), mode="replicate")
        x = F.pixel_unshuffle(whole[:, : self.inputs // self.square**2], self.square)
        x = x if self.is_light else self.conv_in(x)
        found = []
        for block in self.body:
            x = block(x)
            found.append(x)
        return found if self.is_light else found[_ROWS - 1 :: _ROWS]


class Block(nn.Module):
    """Two convolutions beside a shortcut; before them, in some, a halving and a change of width."""

    def __init__(self, shapes: Shapes, halves: bool = False) -> None:
        super().__init__()
        self.halves = halves
        self.in_conv = conv_of(shapes, "in_conv") if "in_conv.weight" in shapes else nn.Identity()
        self.block1 = conv_of(shapes, "block1")
        self.block2 = conv_of(shapes, "block2")

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, h, w] to [B, C', h, w], or half of that."""
        x = self.in_conv(F.avg_pool2d(x, 2, ceil_mode=True) if self.halves else x)
        result: Tensor = x + self.block2(F.relu(self.block1(x)))
        return result


class Level(nn.Module):
    """Blocks that are narrower than what goes in and comes out."""

    def __init__(self, shapes: Shapes, halves: bool) -> None:
        super().__init__()
        self.halves = halves
        rows = within(shapes, "body.")
        self.in_conv = conv_of(shapes, "in_conv")
        self.body = nn.Sequential(*(Block(within(rows, f"{index}.")) for index in children(rows)))
        self.out_conv = conv_of(shapes, "out_conv")

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, h, w] to [B, C', h, w], or half of that."""
        x = F.avg_pool2d(x, 2, ceil_mode=True) if self.halves else x
        result: Tensor = self.out_conv(self.body(self.in_conv(x)))
        return result


def load_t2i_adapter(
    weights: Weights, family: Family, unet: UNet, device: torch.device, dtype: torch.dtype
) -> T2IAdapter:
    """The adapter of a file, for a model of a family with this UNet.

    Raises MalformedFileError for one that is for other models.
    """
    new = layouts.t2i_adapter.to_original(weights)
    own = Weights({new[name]: weights.lazy(name) for name in weights}, path=weights.path)
    network = load(T2IAdapter, own, "", device, dtype)
    network.places = _places(network.square, unet)
    if foreign := own.shapes().keys() - network.state_dict().keys():
        problem = f"holds '{min(foreign)}', for which a T2I-Adapter has no place: it is of a make not known here."
        raise MalformedFileError(weights.path or "the weights", problem)
    if network.widths != _widths_at(network.places, unet):
        problem = f"is a T2I-Adapter for other models than {family.title}, which this one is; take one made for that."
        raise MalformedFileError(weights.path or "the weights", problem)
    return network


def _places(square: int, unet: UNet) -> tuple[int, ...]:
    """After which blocks: the last of each level; for larger squares the first that comes to half the size, the last
    ones of the next levels, and the middle block.
    """
    halving = [
        number
        for number, block in enumerate(unet.input_blocks)
        if any(isinstance(layer, Downsample) for layer in block.children())
    ]
    middle = len(unet.input_blocks)
    last = (*(number - 1 for number in halving), middle - 1)
    return (*halving[:1], *last[1:], middle) if square == _LARGE else last


def _widths_at(places: tuple[int, ...], unet: UNet) -> list[int]:
    shapes = {name: tuple(each.shape) for name, each in unet.state_dict().items()}
    names = [f"input_blocks.{place}." if place < len(unet.input_blocks) else "middle_block." for place in places]
    return [block_width(within(shapes, name)) for name in names]
