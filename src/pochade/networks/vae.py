"""The KL autoencoder between pictures and latents, named as in the original below `first_stage_model.`"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pochade.networks.layers import attend, conv_of, group_norm_of
from pochade.networks.shapes import Shape, Shapes, children, conv, joined, norm, within

_EPS = 1e-6


class VAE(nn.Module):
    """Pictures in -1..1 [B, 3, H, W] to Gaussian latents [B, 4, H/f, W/f] and back; `shapes` as in `vae_shapes`."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        self.encoder = Encoder(within(shapes, "encoder."))
        self.decoder = Decoder(within(shapes, "decoder."))
        self.quant_conv = conv_of(shapes, "quant_conv")
        self.post_quant_conv = conv_of(shapes, "post_quant_conv")

    def encode(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of the latents, each [B, 4, h, w], unscaled."""
        return self.moments(self.encoder(pictures))

    def moments(self, encoded: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance in what the encoder gives [B, 8, h, w]."""
        mean, log_variance = self.quant_conv(encoded).chunk(2, dim=1)
        return mean, log_variance.clamp(-30.0, 20.0)

    def decode(self, latents: Tensor) -> Tensor:
        """Unscaled latents [B, 4, h, w] to pictures [B, 3, H, W], about -1..1."""
        pictures: Tensor = self.decoder(self.post_quant_conv(latents))
        return pictures


class Encoder(nn.Module):
    """Residual blocks that halve the picture level by level."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        self.conv_in = conv_of(shapes, "conv_in")
        self.down = _levels(within(shapes, "down."))
        self.mid = Middle(within(shapes, "mid."))
        self.norm_out = group_norm_of(shapes, "norm_out", _EPS)
        self.conv_out = conv_of(shapes, "conv_out")

    def forward(self, pictures: Tensor) -> Tensor:
        """[B, 3, H, W] to moments [B, 8, h, w]."""
        x = self.conv_in(pictures)
        for level in self.down:
            x = level(x)
        moments: Tensor = self.conv_out(F.silu(self.norm_out(self.mid(x))))
        return moments


class Decoder(nn.Module):
    """Residual blocks that double the picture level by level; level 0 is the finest, so it runs last."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        self.conv_in = conv_of(shapes, "conv_in")
        self.mid = Middle(within(shapes, "mid."))
        self.up = _levels(within(shapes, "up."))
        self.norm_out = group_norm_of(shapes, "norm_out", _EPS)
        self.conv_out = conv_of(shapes, "conv_out")

    def forward(self, latents: Tensor) -> Tensor:
        """[B, 4, h, w] to pictures [B, 3, H, W]."""
        x = self.mid(self.conv_in(latents))
        for level in reversed(self.up):
            x = level(x)
        pictures: Tensor = self.conv_out(F.silu(self.norm_out(x)))
        return pictures


class Level(nn.Module):
    """The residual blocks of one resolution and the step to the next."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        blocks = within(shapes, "block.")
        self.block = nn.ModuleList(Residual(within(blocks, f"{index}.")) for index in children(blocks))
        if "downsample.conv.weight" in shapes:
            self.downsample = Downsample(within(shapes, "downsample."))
        if "upsample.conv.weight" in shapes:
            self.upsample = Upsample(within(shapes, "upsample."))

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] to [B, C', H', W']."""
        for block in self.block:
            x = block(x)
        for step in ("downsample", "upsample"):
            if step in self._modules:
                x = self._modules[step](x)  # type: ignore[misc]
        return x


class Middle(nn.Module):
    """Residual, attention, residual at the coarsest level."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        self.block_1 = Residual(within(shapes, "block_1."))
        self.attn_1 = PixelAttention(within(shapes, "attn_1."))
        self.block_2 = Residual(within(shapes, "block_2."))

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, h, w] to the same shape."""
        result: Tensor = self.block_2(self.attn_1(self.block_1(x)))
        return result


class Residual(nn.Module):
    """Two normalised convolutions beside a shortcut."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        self.norm1 = group_norm_of(shapes, "norm1", _EPS)
        self.conv1 = conv_of(shapes, "conv1")
        self.norm2 = group_norm_of(shapes, "norm2", _EPS)
        self.conv2 = conv_of(shapes, "conv2")
        self.nin_shortcut = conv_of(shapes, "nin_shortcut") if "nin_shortcut.weight" in shapes else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] to [B, C', H, W]."""
        hidden = self.conv1(F.silu(self.norm1(x)))
        hidden = self.conv2(F.silu(self.norm2(hidden)))
        result: Tensor = self.nin_shortcut(x) + hidden
        return result


class PixelAttention(nn.Module):
    """Attention with one head between all pixels, `rows` of them at a time."""

    rows: int | None = None

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        self.norm = group_norm_of(shapes, "norm", _EPS)
        self.q = conv_of(shapes, "q")
        self.k = conv_of(shapes, "k")
        self.v = conv_of(shapes, "v")
        self.proj_out = conv_of(shapes, "proj_out")

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, h, w] to the same shape."""
        hidden = self.norm(x)
        # numbers of one pixel side by side: in any other order torch would hold the scores of all pairs of pixels
        query, key, value = (each(hidden).flatten(2).mT.contiguous() for each in (self.q, self.k, self.v))
        mixed = attend(query, key, value, heads=1, rows=self.rows).transpose(1, 2).reshape(x.shape)
        result: Tensor = x + self.proj_out(mixed)
        return result


class Downsample(nn.Module):
    """Halves by a strided convolution, padded only right and below as the original does."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        self.conv = conv_of(shapes, "conv", stride=2, padding=0)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] to [B, C, H / 2, W / 2]."""
        result: Tensor = self.conv(F.pad(x, (0, 1, 0, 1)))
        return result


class Upsample(nn.Module):
    """Doubles by repeating pixels, then a convolution."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        self.conv = conv_of(shapes, "conv")

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] to [B, C, 2 H, 2 W]."""
        result: Tensor = self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        return result


def sample(mean: Tensor, log_variance: Tensor, noise: Tensor) -> Tensor:
    """A draw from the latent distribution, with given unit noise of the same shape."""
    return mean + torch.exp(0.5 * log_variance) * noise


def _levels(shapes: Shapes) -> nn.ModuleList:
    return nn.ModuleList(Level(within(shapes, f"{index}.")) for index in children(shapes))


def vae_shapes(width: int, multipliers: Sequence[int], blocks: int = 2, latent: int = 4) -> dict[str, Shape]:
    """Names and shapes of a KL autoencoder: `width` times each multiplier, `blocks` residual blocks (up: + 1)."""
    parts = [conv("encoder.conv_in", 3, width, 3)]
    here = width
    for level, multiplier in enumerate(multipliers):
        for block in range(blocks):
            parts.append(_residual_shapes(f"encoder.down.{level}.block.{block}", here, width * multiplier))
            here = width * multiplier
        if level + 1 < len(multipliers):
            parts.append(conv(f"encoder.down.{level}.downsample.conv", here, here, 3))
    parts += [
        _middle_shapes("encoder.mid", here),
        norm("encoder.norm_out", here),
        conv("encoder.conv_out", here, 2 * latent, 3),
    ]
    parts += [conv("quant_conv", 2 * latent, 2 * latent, 1), conv("post_quant_conv", latent, latent, 1)]
    parts += [conv("decoder.conv_in", latent, here, 3), _middle_shapes("decoder.mid", here)]
    for level, multiplier in reversed(list(enumerate(multipliers))):
        for block in range(blocks + 1):
            parts.append(_residual_shapes(f"decoder.up.{level}.block.{block}", here, width * multiplier))
            here = width * multiplier
        if level:
            parts.append(conv(f"decoder.up.{level}.upsample.conv", here, here, 3))
    return joined([*parts, norm("decoder.norm_out", here), conv("decoder.conv_out", here, 3, 3)])


def _middle_shapes(name: str, width: int) -> dict[str, Shape]:
    attention = [conv(f"{name}.attn_1.{each}", width, width, 1) for each in ("q", "k", "v", "proj_out")]
    residuals = [_residual_shapes(f"{name}.block_{index}", width, width) for index in (1, 2)]
    return joined([*residuals, norm(f"{name}.attn_1.norm", width), *attention])


def _residual_shapes(name: str, inputs: int, outputs: int) -> dict[str, Shape]:
    parts = [norm(f"{name}.norm1", inputs), conv(f"{name}.conv1", inputs, outputs, 3)]
    parts += [norm(f"{name}.norm2", outputs), conv(f"{name}.conv2", outputs, outputs, 3)]
    return joined(parts + ([conv(f"{name}.nin_shortcut", inputs, outputs, 1)] if inputs != outputs else []))
