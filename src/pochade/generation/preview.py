"""How a picture on its way looks, at the cost of one small product of matrices."""

import torch
from PIL import Image
from torch import Tensor

from pochade.families.previews import Projection
from pochade.generation.pictures.pixels import image_of


@torch.no_grad()
def preview(latents: Tensor, projection: Projection) -> Image.Image:
    """The first of scaled latents [B, 4, h, w] as a picture of w x h pixels."""
    channels = torch.tensor(projection.channels, device=latents.device)
    zero = torch.tensor(projection.zero, device=latents.device)
    colours = torch.einsum("chw,cr->rhw", latents[0].float(), channels) + zero[:, None, None]
    return image_of((colours / 2 + 0.5).clamp(0, 1))
