"""The denoising UNet of latent diffusion (Rombach et al. 2022, arXiv:2112.10752), named as in the original checkpoints.

Which layer stands at `input_blocks.4.1` is decided by the tensors below that name, so one constructor builds every
width, depth and number of levels.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import chain

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pochade.networks.layers import (
    attend,
    conv_of,
    embedding_of,
    group_norm_of,
    layer_norm_of,
    linear_of,
    projection_of,
    sinusoid,
)
from pochade.networks.shapes import Shape, Shapes, children, conv, joined, linear, norm, within


class Half(nn.Module):
    """What a UNet shares with a ControlNet: the way down to the middle, told the time and, in some models, a class.

    `shapes` are the names and shapes below `model.diffusion_model.`; `heads` is the number of attention heads, or
    `head_width` the width of one where the family fixes that instead.
    """

    def __init__(self, shapes: Shapes, heads: int | None = 8, head_width: int = 64) -> None:
        super().__init__()
        self.width = shapes["input_blocks.0.0.weight"][0]
        self.time_embed = _perceptron(shapes, "time_embed")
        self.label_emb = _classes(shapes)
        self.input_blocks = _blocks(within(shapes, "input_blocks."), heads, head_width)
        self.middle_block = Block(within(shapes, "middle_block."), heads, head_width)

    def embed_time(self, timesteps: Tensor, classes: Tensor | None, dtype: torch.dtype) -> Tensor:
        """Timesteps [B] and classes, vectors [B, A] or numbers [B], as one vector each [B, 4 * width].

        Raises ValueError when classes are missing, or given to a network that knows none.
        """
        time: Tensor = self.time_embed(sinusoid(timesteps, self.width).to(dtype))
        if (classes is None) != (self.label_emb is None):
            raise ValueError("this network needs classes" if classes is None else "this network knows no classes")
        if classes is None or self.label_emb is None:
            return time
        embedded: Tensor = self.label_emb(classes.to(dtype) if classes.is_floating_point() else classes)
        return time + embedded


class UNet(Half):
    """Predicts noise (or velocity) from a noisy latent, the timestep and the text."""

    def __init__(self, shapes: Shapes, heads: int | None = 8, head_width: int = 64) -> None:
        super().__init__(shapes, heads, head_width)
        self.output_blocks = _blocks(within(shapes, "output_blocks."), heads, head_width)
        self.out = nn.Sequential(group_norm_of(shapes, "out.0", 1e-5), nn.SiLU(), conv_of(shapes, "out.2"))

    def forward(
        self,
        latents: Tensor,
        timesteps: Tensor,
        context: Tensor,
        classes: Tensor | None = None,
        control: Sequence[Tensor] | None = None,
        features: Mapping[int, Tensor] | None = None,
    ) -> Tensor:
        """Latents [B, C, h, w], timesteps [B], context [B, T, D]; returns the prediction [B, 4, h, w].

        `classes` are vectors [B, A] or numbers [B], for a model that knows them; `control` is what ControlNets add to
        the features that each input block hands over and, last, to those of the middle block. `features` are what
        T2I-Adapters add after some of these blocks, by number, before the next one sees them.
        """
        time = self.embed_time(timesteps, classes, latents.dtype)
        added = features or {}
        skips: list[Tensor] = []
        x = latents
        for number, block in enumerate(self.input_blocks):
            x = block(x, time, context)
            x = x + added[number] if number in added else x
            skips.append(x)
        x = self.middle_block(x, time, context)
        x = x + added[len(skips)] if len(skips) in added else x
        if control is not None:
            skips = [skip + each for skip, each in zip(skips, control, strict=False)]
            x = x + control[-1]
        for block in self.output_blocks:
            x = block(torch.cat([x, skips.pop()], dim=1), time, context, skips[-1].shape[-2:] if skips else None)
        prediction: Tensor = self.out(x)
        return prediction


class Block(nn.ModuleList):
    """Layers in a row; each takes what it needs of time, text and the size that the next skip connection has."""

    def __init__(self, shapes: Shapes, heads: int | None, head_width: int) -> None:
        super().__init__(_layer(within(shapes, f"{index}."), heads, head_width) for index in children(shapes))

    def forward(self, x: Tensor, time: Tensor, context: Tensor, size: Sequence[int] | None = None) -> Tensor:
        """One level's features [B, C, h, w] through every layer."""
        for layer in self:
            if isinstance(layer, Residual):
                x = layer(x, time)
            elif isinstance(layer, Transformer):
                x = layer(x, context)
            else:
                x = layer(x, size) if isinstance(layer, Upsample) else layer(x)
        return x


class Residual(nn.Module):
    """Two convolutions with the time embedding added between them."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        self.in_layers = nn.Sequential(
            group_norm_of(shapes, "in_layers.0", 1e-5), nn.SiLU(), conv_of(shapes, "in_layers.2")
        )
        self.emb_layers = nn.Sequential(nn.SiLU(), linear_of(shapes, "emb_layers.1"))
        self.out_layers = nn.Sequential(
            # index 2 was a dropout in the original: it keeps the convolution's number
            group_norm_of(shapes, "out_layers.0", 1e-5), nn.SiLU(), nn.Identity(), conv_of(shapes, "out_layers.3")
        )  # fmt: skip
        self.skip_connection = (
            conv_of(shapes, "skip_connection") if "skip_connection.weight" in shapes else nn.Identity()
        )

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """Features [B, C, h, w] and time [B, 4 * width] to features [B, C', h, w]."""
        hidden = self.in_layers(x) + self.emb_layers(time)[:, :, None, None]
        result: Tensor = self.skip_connection(x) + self.out_layers(hidden)
        return result


class Transformer(nn.Module):
    """Self-attention, attention to the text and a feed-forward layer over all pixels of a level."""

    def __init__(self, shapes: Shapes, heads: int | None, head_width: int) -> None:
        super().__init__()
        heads = heads or shapes["norm.weight"][0] // head_width
        self.norm = group_norm_of(shapes, "norm", 1e-6)
        self.proj_in = projection_of(shapes, "proj_in")
        blocks = within(shapes, "transformer_blocks.")
        self.transformer_blocks = nn.ModuleList(
            TransformerBlock(within(blocks, f"{index}."), heads) for index in children(blocks)
        )
        self.proj_out = projection_of(shapes, "proj_out")

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """Features [B, C, h, w] and context [B, T, D] to features of the same shape."""
        hidden = self.norm(x)
        if isinstance(self.proj_in, nn.Conv2d):
            hidden = _to_sequence(self.proj_in(hidden))
        else:
            hidden = self.proj_in(_to_sequence(hidden))
        for block in self.transformer_blocks:
            hidden = block(hidden, context)
        if isinstance(self.proj_out, nn.Conv2d):
            hidden = self.proj_out(_to_picture(hidden, x))
        else:
            hidden = _to_picture(self.proj_out(hidden), x)
        result: Tensor = x + hidden
        return result


class TransformerBlock(nn.Module):
    """attn1 looks at the picture, attn2 at the text, ff at each pixel.

    The x4 upscaler's fine levels look at the text twice instead: there attn1's keys are as wide as the text.
    """

    def __init__(self, shapes: Shapes, heads: int) -> None:
        super().__init__()
        width, width_seen = shapes["attn1.to_k.weight"]
        self.looks_at_text_alone = width_seen != width
        self.norm1 = layer_norm_of(shapes, "norm1")
        self.attn1 = Attention(within(shapes, "attn1."), heads)
        self.norm2 = layer_norm_of(shapes, "norm2")
        self.attn2 = Attention(within(shapes, "attn2."), heads)
        self.norm3 = layer_norm_of(shapes, "norm3")
        self.ff = FeedForward(within(shapes, "ff."))

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """Sequence [B, T, C] and context [B, S, D] to a sequence of the same shape."""
        hidden = self.norm1(x)
        x = x + self.attn1(hidden, context if self.looks_at_text_alone else hidden)
        x = x + self.attn2(self.norm2(x), context)
        result: Tensor = x + self.ff(self.norm3(x))
        return result


class Attention(nn.Module):
    """Multi-head attention from a sequence to a context, `rows` of the sequence at a time.

    `changes` are what the context goes through first, one after the other, twice: for the keys and for the values.
    """

    rows: int | None = None
    changes: Sequence[Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]] = ()

    def __init__(self, shapes: Shapes, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_q = linear_of(shapes, "to_q")
        self.to_k = linear_of(shapes, "to_k")
        self.to_v = linear_of(shapes, "to_v")
        self.to_out = nn.Sequential(linear_of(shapes, "to_out.0"))

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """Sequence [B, T, C], context [B, S, D]; returns [B, T, C]."""
        keys = values = context
        for change in self.changes:
            keys, values = change(keys, values)
        mixed: Tensor = self.to_out(
            attend(self.to_q(x), self.to_k(keys), self.to_v(values), self.heads, rows=self.rows)
        )
        return mixed


class FeedForward(nn.Module):
    """A gated linear unit and a projection back (GEGLU, Shazeer 2020, arXiv:2002.05202)."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        # index 1 was a dropout in the original: it keeps the projection's number
        self.net = nn.Sequential(Gate(within(shapes, "net.0.")), nn.Identity(), linear_of(shapes, "net.2"))

    def forward(self, x: Tensor) -> Tensor:
        """Sequence [B, T, C] to [B, T, C]."""
        result: Tensor = self.net(x)
        return result


class Gate(nn.Module):
    """Half of the projection, gated by the GELU of the other half."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        self.proj = linear_of(shapes, "proj")

    def forward(self, x: Tensor) -> Tensor:
        """Sequence [B, T, C] to [B, T, 4 C]."""
        value, gate = self.proj(x).chunk(2, dim=-1)
        gated: Tensor = value * F.gelu(gate)
        return gated


class Downsample(nn.Module):
    """Halves height and width by a strided convolution."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        self.op = conv_of(shapes, "op", stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, h, w] to [B, C, ceil(h / 2), ceil(w / 2)]."""
        result: Tensor = self.op(x)
        return result


class Upsample(nn.Module):
    """Doubles height and width, or goes to the size that the skip connection has where a level was odd."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        self.conv = conv_of(shapes, "conv")

    def forward(self, x: Tensor, size: Sequence[int] | None = None) -> Tensor:
        """[B, C, h, w] to [B, C, 2 h, 2 w] (or `size`)."""
        result: Tensor = self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        if size is not None and result.shape[-2:] != size:
            result = F.interpolate(result, size=tuple(size), mode="nearest")
        return result


def _blocks(shapes: Shapes, heads: int | None, head_width: int) -> nn.ModuleList:
    """The numbered blocks of one half."""
    return nn.ModuleList(Block(within(shapes, f"{index}."), heads, head_width) for index in children(shapes))


def _perceptron(shapes: Shapes, name: str) -> nn.Sequential:
    """Two linear layers around a SiLU."""
    return nn.Sequential(linear_of(shapes, f"{name}.0"), nn.SiLU(), linear_of(shapes, f"{name}.2"))


def _classes(shapes: Shapes) -> nn.Module | None:
    """What embeds classes: two layers for vectors (SDXL, unCLIP), a table for numbers (the upscaler), or nothing."""
    if "label_emb.0.0.weight" in shapes:
        return nn.Sequential(_perceptron(shapes, "label_emb.0"))
    return embedding_of(shapes, "label_emb") if "label_emb.weight" in shapes else None


def _layer(shapes: Shapes, heads: int | None, head_width: int) -> nn.Module:
    """The layer that owns these tensors."""
    if "in_layers.0.weight" in shapes:
        return Residual(shapes)
    if "proj_in.weight" in shapes:
        return Transformer(shapes, heads, head_width)
    if "op.weight" in shapes:
        return Downsample(shapes)
    if "conv.weight" in shapes:
        return Upsample(shapes)
    return conv_of({f"conv.{name}": shape for name, shape in shapes.items()}, "conv")


def _to_sequence(x: Tensor) -> Tensor:
    return x.permute(0, 2, 3, 1).flatten(1, 2)


def _to_picture(sequence: Tensor, like: Tensor) -> Tensor:
    batch, _, height, width = like.shape
    return sequence.view(batch, height, width, -1).permute(0, 3, 1, 2)


def unet_shapes(
    width: int,
    multipliers: Sequence[int],
    context: int,
    attention_levels: Sequence[int],
    blocks: int = 2,
    channels: int = 4,
) -> dict[str, Shape]:
    """Names and shapes of an SD 1 UNet: `width` times each multiplier per level, `blocks` residual blocks per level."""
    time = 4 * width
    parts = [linear("time_embed.0", width, time), linear("time_embed.2", time, time)]
    parts.append(conv("input_blocks.0.0", channels, width, 3))
    skips, here, index = [width], width, 1
    for level, multiplier in enumerate(multipliers):
        for _ in range(blocks):
            parts.append(
                _block_shapes(
                    f"input_blocks.{index}", here, width * multiplier, time, context if level in attention_levels else 0
                )
            )
            here, index = width * multiplier, index + 1
            skips.append(here)
        if level + 1 < len(multipliers):
            parts.append(conv(f"input_blocks.{index}.0.op", here, here, 3))
            skips.append(here)
            index += 1
    parts.append(_block_shapes("middle_block", here, here, time, context))
    parts.append(_residual_shapes("middle_block.2", here, here, time))
    index = 0
    for level, multiplier in reversed(list(enumerate(multipliers))):
        for block in range(blocks + 1):
            attention = context if level in attention_levels else 0
            parts.append(
                _block_shapes(f"output_blocks.{index}", here + skips.pop(), width * multiplier, time, attention)
            )
            here = width * multiplier
            if level and block == blocks:
                parts.append(conv(f"output_blocks.{index}.{2 if attention else 1}.conv", here, here, 3))
            index += 1
    return joined(chain(parts, [norm("out.0", here), conv("out.2", here, 4, 3)]))


def _block_shapes(name: str, inputs: int, outputs: int, time: int, context: int) -> dict[str, Shape]:
    residual = _residual_shapes(f"{name}.0", inputs, outputs, time)
    return residual | (_transformer_shapes(f"{name}.1", outputs, context) if context else {})


def _residual_shapes(name: str, inputs: int, outputs: int, time: int) -> dict[str, Shape]:
    parts = [
        norm(f"{name}.in_layers.0", inputs),
        conv(f"{name}.in_layers.2", inputs, outputs, 3),
        linear(f"{name}.emb_layers.1", time, outputs),
        norm(f"{name}.out_layers.0", outputs),
        conv(f"{name}.out_layers.3", outputs, outputs, 3),
    ]
    return joined(parts + ([conv(f"{name}.skip_connection", inputs, outputs, 1)] if inputs != outputs else []))


def _transformer_shapes(name: str, width: int, context: int) -> dict[str, Shape]:
    block = f"{name}.transformer_blocks.0"
    parts = [norm(f"{name}.norm", width), conv(f"{name}.proj_in", width, width, 1)]
    parts += [norm(f"{block}.norm{index}", width) for index in (1, 2, 3)]
    for attention, inputs in (("attn1", width), ("attn2", context)):
        parts.append(linear(f"{block}.{attention}.to_q", width, width, bias=False))
        parts += [linear(f"{block}.{attention}.{each}", inputs, width, bias=False) for each in ("to_k", "to_v")]
        parts.append(linear(f"{block}.{attention}.to_out.0", width, width))
    parts += [linear(f"{block}.ff.net.0.proj", width, 8 * width), linear(f"{block}.ff.net.2", 4 * width, width)]
    return joined([*parts, conv(f"{name}.proj_out", width, width, 1)])
