"""A VAE on pictures that are too large to be worked on whole: layer by layer, each layer tile by tile.

Group norms look at a whole picture, so a picture that is cut once and put together at the end shows seams. Here every
layer goes over all tiles before the next one begins, and the norms get mean and variance of the whole layer: the
result is that of the whole picture but for rounding. In memory are two layers' features, and one tile's work.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pochade.networks.vae import VAE, Level, Residual

Work: TypeAlias = Callable[[Tensor], Tensor]
Place: TypeAlias = tuple[slice, slice]
_HALO = 2  # pixels of its neighbours that a tile is shown: convolutions look one pixel far, and halving wants it even


@dataclass(frozen=True)
class Tiles:
    """Squares of `side` pixels of any layer; where it `wraps`, beyond an edge is the opposite edge."""

    side: int
    wraps: bool = False

    @classmethod
    def of(cls, vae: VAE, side: int) -> "Tiles":
        """Tiles that wrap where the network's convolutions do."""
        return cls(side, vae.decoder.conv_in.padding_mode == "circular")

    def work(self, work: Work, x: Tensor, scale: float = 1.0) -> Tensor:
        """What `work` makes of features [1, C, H, W]: [1, C', scale * H, scale * W]."""
        result: Tensor | None = None
        height, width = (int(length * scale) for length in x.shape[-2:])
        for place in self.places(x):
            made = self.work_at(place, work, x, scale)
            if result is None:
                result = made.new_empty(1, made.shape[1], height, width)
            rows, columns = (slice(int(each.start * scale), int(each.stop * scale)) for each in place)
            result[..., rows, columns] = made
        assert result is not None  # no picture is without pixels
        return result

    def work_at(self, place: Place, work: Work, x: Tensor, scale: float = 1.0) -> Tensor:
        """What `work` makes of one tile, which sees its neighbours."""
        wraps = self.wraps and scale >= 1  # what halves pads with zeros even then
        seen, crop = x, []
        for axis, part in zip((-2, -1), place, strict=True):
            start = part.start - (_HALO if wraps else min(_HALO, part.start))
            stop = part.stop + _HALO if wraps else min(part.stop + _HALO, x.shape[axis])
            seen = _between(seen, start, stop, axis)
            crop.append(slice(int((part.start - start) * scale), int((part.stop - start) * scale)))
        made: Tensor = work(seen)[..., crop[0], crop[1]]
        return made

    def places(self, x: Tensor) -> Iterator[Place]:
        """Rows and columns of each tile."""
        return product(self._spans(x.shape[-2]), self._spans(x.shape[-1]))

    def _spans(self, length: int) -> list[slice]:
        return [slice(at, min(at + self.side, length)) for at in range(0, length, self.side)]


def decode(vae: VAE, latents: Tensor, side: int) -> Tensor:
    """What `vae.decode` gives for latents [B, 4, h, w], with tiles of `side` pixels."""
    return torch.cat([_decoded(vae, each, Tiles.of(vae, side)) for each in torch.split(latents, 1)])


def encode(vae: VAE, pictures: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """What `vae.encode` gives for pictures [B, 3, H, W], with tiles of `side` pixels."""
    moments = torch.cat([_encoded(vae, each, Tiles.of(vae, side)) for each in torch.split(pictures, 1)])
    return vae.moments(moments)


def whole_bytes(vae: VAE, height: int, width: int) -> int:
    """About the memory that a picture of this size takes when it is decoded whole.

    That is four features of the finest level at its widest, as measured with the VAEs of Stable Diffusion.
    """
    weight = vae.decoder.get_parameter("up.0.block.0.conv1.weight")
    return 4 * height * width * weight.shape[1] * weight.element_size()


def _decoded(vae: VAE, latents: Tensor, tiles: Tiles) -> Tensor:
    decoder = vae.decoder
    x = decoder.mid(decoder.conv_in(vae.post_quant_conv(latents)))
    for level in reversed(decoder.up):
        x = _through(level, x, tiles)
    return tiles.work(_activated(decoder.norm_out, decoder.conv_out, x), x)


def _encoded(vae: VAE, pictures: Tensor, tiles: Tiles) -> Tensor:
    encoder = vae.encoder
    x = tiles.work(encoder.conv_in, pictures)
    for level in encoder.down:
        x = _through(level, x, tiles)
    moments: Tensor = encoder.conv_out(F.silu(encoder.norm_out(encoder.mid(x))))
    return moments


def _through(level: nn.Module, x: Tensor, tiles: Tiles) -> Tensor:
    """Features [1, C, H, W] through the blocks of one resolution and to the next one; they are written over."""
    assert isinstance(level, Level)
    for block in level.block:
        x = _residual(block, x, tiles)
    if "downsample" in level._modules:
        return tiles.work(level.downsample, x, 0.5)
    return tiles.work(level.upsample, x, 2.0) if "upsample" in level._modules else x


def _residual(block: nn.Module, x: Tensor, tiles: Tiles) -> Tensor:
    """The result lies where the features were, where there is room: each tile of them is looked at once."""
    assert isinstance(block, Residual)
    hidden = tiles.work(_activated(block.norm1, block.conv1, x), x)
    second, width = _activated(block.norm2, block.conv2, hidden), hidden.shape[1]
    result = x[:, :width] if width <= x.shape[1] else torch.empty_like(hidden)
    for place in tiles.places(x):
        rows, columns = place
        changed = tiles.work_at(place, second, hidden)
        result[..., rows, columns] = block.nin_shortcut(x[..., rows, columns]) + changed
    return result


def _activated(norm: nn.GroupNorm, convolution: nn.Conv2d, x: Tensor) -> Work:
    """Norm, activation and convolution for a part of `x`, normed as the whole of it."""
    mean, variance = _statistics(x, norm.num_groups)
    weight, bias = norm.weight.float(), norm.bias.float()

    def work(part: Tensor) -> Tensor:
        normed = F.batch_norm(part, mean, variance, weight, bias, eps=norm.eps)
        result: Tensor = convolution(F.silu(normed, inplace=True))
        return result

    return work


def _statistics(x: Tensor, groups: int) -> tuple[Tensor, Tensor]:
    """Mean and variance of each group of channels, for each channel [C]; gathered group by group."""
    parts = [torch.var_mean(part.float(), correction=0) for part in x.chunk(groups, dim=1)]
    variance, mean = (torch.stack(each).repeat_interleave(x.shape[1] // groups) for each in zip(*parts, strict=True))
    return mean, variance


def _between(x: Tensor, start: int, stop: int, axis: int) -> Tensor:
    """A part along one axis; what lies outside is taken from the opposite edge."""
    length = x.shape[axis]
    if start >= 0 and stop <= length:
        return x.narrow(axis, start, stop - start)
    return x.index_select(axis, torch.arange(start, stop, device=x.device) % length)
