"""What preprocessors take and give: pictures of 8 bits, RGB."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pochade.errors import UsageError

Picture = NDArray[np.uint8]
"""Height, width and three channels: [H, W, 3]."""
Mask = NDArray[np.bool_]


def checked(picture: NDArray[Any]) -> Picture:
    """The same picture. Raises UsageError for an array that is none."""
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or not picture.size:
        found = f"{picture.dtype} {list(picture.shape)}"
        raise UsageError(f"A picture for a preprocessor must be of 8 bits, [height, width, 3]; this is {found}.")
    return picture


def grey(values: NDArray[Any]) -> Picture:
    """Values [H, W] of 0..255, cut there, as a picture without colours; yes and no as white and black."""
    if values.dtype == np.bool_:
        values = np.where(values, 255, 0)
    return np.repeat(values.clip(0, 255).astype(np.uint8)[:, :, None], 3, axis=2)


def resampled(picture: NDArray[Any], width: int, height: int, how: Image.Resampling) -> NDArray[Any]:
    """The picture, RGB of 8 bits or one channel of float32, at another size."""
    return np.array(Image.fromarray(picture).resize((width, height), how))
