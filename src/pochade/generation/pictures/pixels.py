"""Between images and the tensors that networks take."""

import numpy as np
import torch
from PIL import Image
from torch import Tensor


def pixels_of(image: Image.Image) -> Tensor:
    """A picture as [1, 3, H, W] in 0..1."""
    values = torch.from_numpy(np.asarray(image.convert("RGB"), dtype=np.float32) / 255)
    return values.permute(2, 0, 1)[None]


def image_of(pixels: Tensor) -> Image.Image:
    """[3, H, W] in 0..1 as a picture of 8 bits; cut off, not rounded, as A1111 does."""
    values = (pixels * 255).permute(1, 2, 0).to("cpu", torch.uint8).numpy()
    return Image.fromarray(np.ascontiguousarray(values))
