"""The transformer of CLIP as OpenCLIP names it: rows of blocks with one packed projection."""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from pochade.networks.layers import attend, layer_norm_of, linear_of, parameter_of
from pochade.networks.shapes import Shapes, children, within

Activation = Callable[[Tensor], Tensor]


class Transformer(nn.Module):
    """The row of blocks, or its first `layers`."""

    def __init__(
        self,
        shapes: Shapes,
        heads: int,
        layers: int | None = None,
        activation: Activation = F.gelu,
        causal: bool = False,
    ) -> None:
        super().__init__()
        blocks = within(shapes, "resblocks.")
        self.resblocks = nn.ModuleList(
            Block(within(blocks, f"{index}."), heads, activation, causal) for index in children(blocks)[:layers]
        )

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, C] to [B, T, C]."""
        for block in self.resblocks:
            x = block(x)
        return x


class Block(nn.Module):
    """Self-attention and a feed-forward layer, each after a norm."""

    def __init__(self, shapes: Shapes, heads: int, activation: Activation, causal: bool) -> None:
        super().__init__()
        self.ln_1 = layer_norm_of(shapes, "ln_1")
        self.attn = Attention(within(shapes, "attn."), heads, causal)
        self.ln_2 = layer_norm_of(shapes, "ln_2")
        self.mlp = FeedForward(within(shapes, "mlp."), activation)

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, C] to [B, T, C]."""
        x = x + self.attn(self.ln_1(x))
        result: Tensor = x + self.mlp(self.ln_2(x))
        return result


class Attention(nn.Module):
    """Each place looks at all, or, if `causal`, at those before it; one matrix gives query, key and value."""

    def __init__(self, shapes: Shapes, heads: int, causal: bool) -> None:
        super().__init__()
        self.heads = heads
        self.causal = causal
        self.in_proj_weight = parameter_of(shapes, "in_proj_weight")
        self.in_proj_bias = parameter_of(shapes, "in_proj_bias")
        self.out_proj = linear_of(shapes, "out_proj")

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, C] to [B, T, C]."""
        query, key, value = F.linear(x, self.in_proj_weight, self.in_proj_bias).chunk(3, dim=-1)
        mixed: Tensor = self.out_proj(attend(query, key, value, self.heads, self.causal))
        return mixed


class FeedForward(nn.Module):
    """Two linear layers around the activation."""

    def __init__(self, shapes: Shapes, activation: Activation) -> None:
        super().__init__()
        self.c_fc = linear_of(shapes, "c_fc")
        self.activation = activation
        self.c_proj = linear_of(shapes, "c_proj")

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, C] to [B, T, C]."""
        result: Tensor = self.c_proj(self.activation(self.c_fc(x)))
        return result
