"""The CLIP image encoder (Radford et al. 2021, arXiv:2103.00020) of unCLIP models: OpenCLIP's and OpenAI's names agree.

It is a vision transformer (Dosovitskiy et al. 2020, arXiv:2010.11929) that begins with a norm.
"""

from math import isqrt

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pochade.networks import layers
from pochade.networks.layers import conv_of, layer_norm_of, parameter_of
from pochade.networks.resblocks import Transformer
from pochade.networks.shapes import Shapes, within

# mean and deviation of CLIP's own training pictures, in 0..1
_MEAN = (0.48145466, 0.4578275, 0.40821073)
_DEVIATION = (0.26862954, 0.26130258, 0.27577711)


class CLIPVision(nn.Module):
    """Pictures to one vector each, in the space that CLIP shares with texts.

    `shapes` are the names and shapes below `embedder.model.visual.`; `heads` is the number of attention heads, 16 in
    ViT-L/14 and ViT-H/14 alike; `quick_gelu` takes OpenAI's approximation of the GELU, as ViT-L/14 was trained.
    """

    def __init__(self, shapes: Shapes, heads: int = 16, quick_gelu: bool = False) -> None:
        super().__init__()
        patch = shapes["conv1.weight"][-1]
        self.side = patch * isqrt(shapes["positional_embedding"][0] - 1)
        self.conv1 = conv_of(shapes, "conv1", stride=patch, padding=0, bias=False)
        self.class_embedding = parameter_of(shapes, "class_embedding")
        self.positional_embedding = parameter_of(shapes, "positional_embedding")
        self.ln_pre = layer_norm_of(shapes, "ln_pre")
        activation = layers.quick_gelu if quick_gelu else F.gelu
        self.transformer = Transformer(within(shapes, "transformer."), heads, activation=activation)
        self.ln_post = layer_norm_of(shapes, "ln_post")
        self.proj = parameter_of(shapes, "proj")

    def forward(self, pictures: Tensor) -> Tensor:
        """Pictures [B, 3, H, W] in -1..1 of any size to embeddings [B, D]."""
        return self.encode(clip_pixels(pictures, self.side).to(self.proj.dtype))

    def encode(self, pixels: Tensor) -> Tensor:
        """Pixels as `clip_pixels` gives them [B, 3, side, side] to embeddings [B, D]."""
        patches = self.conv1(pixels).flatten(2).transpose(1, 2)
        summary = self.class_embedding.expand(len(patches), 1, -1)
        x = self.ln_pre(torch.cat([summary, patches], dim=1) + self.positional_embedding)
        embeddings: Tensor = self.ln_post(self.transformer(x)[:, 0]) @ self.proj
        return embeddings


def clip_pixels(pictures: Tensor, side: int = 224) -> Tensor:
    """Pictures [B, 3, H, W] in -1..1 as CLIP sees them [B, 3, side, side], in float32.

    The original's way, with kornia's antialiased resizing: a blur along each direction that will shrink, then cubic
    interpolation from corner to corner, whatever the proportions; then CLIP's mean and deviation.
    """
    x = _blurred(_blurred(pictures.float(), -2, side), -1, side)
    x = F.interpolate(x, (side, side), mode="bicubic", align_corners=True)
    mean, deviation = (x.new_tensor(each).view(3, 1, 1) for each in (_MEAN, _DEVIATION))
    return ((x + 1) / 2 - mean) / deviation


def _blurred(x: Tensor, axis: int, side: int) -> Tensor:
    """Pictures blurred along `axis` by the Gaussian that keeps them from flickering when it shrinks to `side`."""
    sigma = (x.shape[axis] / side - 1) / 2
    if sigma <= 0:
        return x
    reach = int(max(4 * sigma, 3)) // 2
    offsets = torch.arange(-reach, reach + 1, device=x.device, dtype=x.dtype)
    kernel = torch.exp(-(offsets**2) / (2 * sigma**2))
    lines = x.movedim(axis, -1)
    padded = F.pad(lines.flatten(0, -2)[:, None], (reach, reach), mode="reflect")
    blurred = F.conv1d(padded, (kernel / kernel.sum())[None, None])
    return blurred.view(lines.shape).movedim(-1, axis)
