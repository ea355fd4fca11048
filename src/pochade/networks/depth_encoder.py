"""The half of the depth model that sees: a vision transformer (Dosovitskiy et al. 2020, arXiv:2010.11929) over the
features of a residual network.
"""

from math import isqrt

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pochade.networks.layers import FeedForward, attend, conv_of, layer_norm_of, linear_of, parameter_of
from pochade.networks.resnet import ResNet
from pochade.networks.shapes import Shapes, children, within

PATCH = 16
_NORM_EPS = 1e-6


class Encoder(nn.Module):
    """The two networks that see, and what makes the transformer's tokens pictures again."""

    def __init__(self, shapes: Shapes, head_width: int) -> None:
        super().__init__()
        self.model = VisionTransformer(within(shapes, "model."), head_width)
        self.act_postprocess3 = Reassembly(within(shapes, "act_postprocess3."))
        self.act_postprocess4 = Reassembly(within(shapes, "act_postprocess4."))

    def forward(self, pixels: Tensor) -> list[Tensor]:
        """[B, 3, h, w] to features of h/4, h/8, h/16 and h/32, the finest first."""
        fine, medium, middle, last = self.model(pixels)
        size = pixels.shape[-2] // PATCH, pixels.shape[-1] // PATCH
        return [fine, medium, self.act_postprocess3(middle, size), self.act_postprocess4(last, size)]


class VisionTransformer(nn.Module):
    """A transformer over the features of a residual network, one token per 16 x 16 pixels and one for the whole."""

    def __init__(self, shapes: Shapes, head_width: int) -> None:
        super().__init__()
        self.patch_embed = PatchEmbedding(within(shapes, "patch_embed."))
        self.cls_token = parameter_of(shapes, "cls_token")
        self.pos_embed = parameter_of(shapes, "pos_embed")
        blocks = within(shapes, "blocks.")
        self.blocks = nn.ModuleList(Block(within(blocks, f"{index}."), head_width) for index in children(blocks))

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """[B, 3, h, w] to the features of the first two stages and the tokens after 3/4 and all of the blocks."""
        patches, features = self.patch_embed(pixels)
        whole = self.cls_token.expand(len(pixels), -1, -1)
        x = torch.cat([whole, patches.flatten(2).transpose(1, 2)], dim=1) + self._positions(patches.shape[-2:])
        seen = []
        for block in self.blocks:
            x = block(x)
            seen.append(x)
        return features[0], features[1], seen[len(seen) * 3 // 4 - 1], seen[-1]

    @property
    def side(self) -> int:
        """Height and width of the pictures it was trained on."""
        return PATCH * self._grid

    @property
    def _grid(self) -> int:
        return isqrt(self.pos_embed.shape[1] - 1)

    def _positions(self, size: torch.Size) -> Tensor:
        """The vectors of all places [1, 1 + h * w, D], those of the trained grid stretched over another."""
        whole, places = self.pos_embed[:, :1], self.pos_embed[:, 1:]
        grid = places.transpose(1, 2).reshape(1, -1, self._grid, self._grid)
        stretched = F.interpolate(grid, tuple(size), mode="bilinear")
        return torch.cat([whole, stretched.flatten(2).transpose(1, 2)], dim=1)


class PatchEmbedding(nn.Module):
    """The residual network, and the projection of its last features to tokens."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        self.backbone = ResNet(within(shapes, "backbone."))
        self.proj = conv_of(shapes, "proj")

    def forward(self, pixels: Tensor) -> tuple[Tensor, list[Tensor]]:
        """[B, 3, h, w] to tokens [B, D, h/16, w/16] and the features of every stage."""
        features = self.backbone(pixels)
        return self.proj(features[-1]), features


class Block(nn.Module):
    """Self-attention and a feed-forward layer, each after a norm."""

    def __init__(self, shapes: Shapes, head_width: int) -> None:
        super().__init__()
        self.norm1 = layer_norm_of(shapes, "norm1", _NORM_EPS)
        self.attn = Attention(within(shapes, "attn."), head_width)
        self.norm2 = layer_norm_of(shapes, "norm2", _NORM_EPS)
        self.mlp = FeedForward(within(shapes, "mlp."))

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, D] to [B, T, D]."""
        x = x + self.attn(self.norm1(x))
        result: Tensor = x + self.mlp(self.norm2(x))
        return result


class Attention(nn.Module):
    """Every token looks at every other; query, key and value come from one matrix."""

    def __init__(self, shapes: Shapes, head_width: int) -> None:
        super().__init__()
        self.heads = shapes["proj.weight"][0] // head_width
        self.qkv = linear_of(shapes, "qkv")
        self.proj = linear_of(shapes, "proj")

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, D] to [B, T, D]."""
        query, key, value = self.qkv(x).chunk(3, dim=-1)
        mixed: Tensor = self.proj(attend(query, key, value, self.heads))
        return mixed


class Reassembly(nn.ModuleList):
    """Tokens to a picture of features; a second convolution, where there is one, halves it."""

    def __init__(self, shapes: Shapes) -> None:
        # indices 1 and 2 gave tokens their places in the original: they keep the convolutions' numbers
        layers = [Readout(within(shapes, "0.")), nn.Identity(), nn.Identity(), conv_of(shapes, "3")]
        super().__init__([*layers, conv_of(shapes, "4", stride=2)] if "4.weight" in shapes else layers)

    def forward(self, tokens: Tensor, size: tuple[int, int]) -> Tensor:
        """[B, 1 + h * w, D] to [B, C, h, w], or half of that."""
        readout, *layers = self
        x: Tensor = readout(tokens).transpose(1, 2)
        x = x.reshape(*x.shape[:2], *size)
        for layer in layers:
            x = layer(x)
        return x


class Readout(nn.Module):
    """Tells every token of a place what the token of the whole knows."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        self.project = nn.Sequential(linear_of(shapes, "project.0"), nn.GELU())

    def forward(self, tokens: Tensor) -> Tensor:
        """[B, 1 + N, D] to [B, N, D]."""
        whole, places = tokens[:, :1], tokens[:, 1:]
        result: Tensor = self.project(torch.cat([places, whole.expand_as(places)], dim=-1))
        return result
