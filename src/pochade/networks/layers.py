"""Layers that several networks share."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pochade.networks.shapes import Shapes

NORM_GROUPS = 32
_SHORT = 256


def conv_of(shapes: Shapes, name: str, stride: int = 1, padding: int | None = None, bias: bool = True) -> nn.Conv2d:
    """A convolution as wide as its weight's shape says; same-size padding unless given."""
    outputs, inputs, kernel, _ = shapes[f"{name}.weight"]
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2 if padding is None else padding, bias=bias)


def linear_of(shapes: Shapes, name: str) -> nn.Linear:
    """A linear layer as wide as its weight's shape says."""
    outputs, inputs = shapes[f"{name}.weight"]
    return nn.Linear(inputs, outputs, bias=f"{name}.bias" in shapes)


def projection_of(shapes: Shapes, name: str) -> nn.Conv2d | nn.Linear:
    """A per-pixel projection: a 1x1 convolution in SD 1, a linear layer in SD 2 and SDXL."""
    return conv_of(shapes, name) if len(shapes[f"{name}.weight"]) == 4 else linear_of(shapes, name)


def group_norm_of(shapes: Shapes, name: str, eps: float) -> nn.GroupNorm:
    """A group norm over 32 groups, as in every Stable Diffusion network."""
    return nn.GroupNorm(NORM_GROUPS, shapes[f"{name}.weight"][0], eps)


def layer_norm_of(shapes: Shapes, name: str, eps: float = 1e-5) -> nn.LayerNorm:
    """A layer norm as wide as its weight's shape says."""
    return nn.LayerNorm(shapes[f"{name}.weight"][0], eps)


def parameter_of(shapes: Shapes, name: str) -> nn.Parameter:
    """A tensor of the network's own, outside any layer; a new one is zero."""
    return nn.Parameter(torch.zeros(shapes[name]))


def embedding_of(shapes: Shapes, name: str) -> nn.Embedding:
    """A table as large as its weight's shape says; it gets an empty one, or torch would fill it with noise first."""
    rows, width = shapes[f"{name}.weight"]
    return nn.Embedding(rows, width, _weight=torch.empty(rows, width))


def attend(
    query: Tensor, key: Tensor, value: Tensor, heads: int, causal: bool = False, rows: int | None = None
) -> Tensor:
    """Multi-head attention: query [B, T, C], key and value [B, S, C]; returns [B, T, C].

    With `rows` only so many of the T are worked on at a time: the same numbers in less memory, where torch's kernel
    would hold all scores at once.

    In half precision too, torch's kernels keep the scores in float32: those of SD 2.1 go beyond float16.
    """
    query, key, value = (_heads_apart(each, heads) for each in (query, key, value))
    if torch.is_grad_enabled() and query.device.type == "cpu" and key.shape[2] <= _SHORT:
        mixed = _attend_short(query, key, value, causal)
    elif rows and not causal and query.shape[2] > rows:
        parts = torch.split(query, rows, dim=2)
        mixed = torch.cat([F.scaled_dot_product_attention(part, key, value) for part in parts], dim=2)
    else:
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=causal)
    return mixed.transpose(1, 2).flatten(2)


def _heads_apart(x: Tensor, heads: int) -> Tensor:
    batch, tokens, width = x.shape
    return x.view(batch, tokens, heads, width // heads).transpose(1, 2)


def _attend_short(query: Tensor, key: Tensor, value: Tensor, causal: bool) -> Tensor:
    """The same as plain products: torch's fused kernel takes three times as long backwards where heads are narrow."""
    scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
    if causal:
        scores = scores + torch.full(scores.shape[-2:], float("-inf"), dtype=scores.dtype).triu(1)
    mixed: Tensor = scores.softmax(-1, dtype=scores.dtype) @ value
    return mixed


def quick_gelu(x: Tensor) -> Tensor:
    """OpenAI's approximation of the GELU, x * sigmoid(1.702 x)."""
    return x * torch.sigmoid(1.702 * x)


class FeedForward(nn.Module):
    """Two linear layers around an activation."""

    def __init__(self, shapes: Shapes, activation: Callable[[Tensor], Tensor] = F.gelu) -> None:
        super().__init__()
        self.fc1 = linear_of(shapes, "fc1")
        self.activation = activation
        self.fc2 = linear_of(shapes, "fc2")

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, D] to [B, T, D]."""
        result: Tensor = self.fc2(self.activation(self.fc1(x)))
        return result


def sinusoid(timesteps: Tensor, width: int) -> Tensor:
    """Timestep embedding [B] -> [B, width], cosines first (Ho et al. 2020, arXiv:2006.11239)."""
    half = width // 2
    exponents = torch.arange(half, device=timesteps.device, dtype=torch.float32) / half
    angles = timesteps.float()[:, None] * (10000.0**-exponents)
    return torch.cat([angles.cos(), angles.sin()], dim=-1)
