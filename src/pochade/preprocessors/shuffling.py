"""The colours and textures of a picture without its composition: everything flows to another place."""

import numpy as np
from PIL import Image

from pochade.errors import UsageError
from pochade.preprocessors.filters import Floats
from pochade.preprocessors.pictures import Picture


def shuffle(picture: Picture, *, seed: int = 0, reach: int = 256) -> Picture:
    """Each pixel is fetched from a random place, neighbours from near places; `reach` is how far places are alike."""
    if reach < 1:
        raise UsageError(f"The reach of shuffle is {reach}; it must be 1 pixel or more.")
    height, width = picture.shape[:2]
    random = np.random.default_rng(abs(seed))
    columns, rows = ((side - 1) * _waves(random, height, width, reach) for side in (width, height))
    return _fetched(picture.astype(np.float32), rows, columns).round().astype(np.uint8)


def _waves(random: np.random.Generator, height: int, width: int, reach: int) -> Floats:
    """A smooth random surface [H, W] from 0 to 1."""
    coarse = Image.fromarray(random.random((height // reach + 4, width // reach + 4), np.float32))
    inner = (1, 1, 1 + width / reach, 1 + height / reach)  # away from the border, where waves would end
    smooth: Floats = np.array(coarse.resize((width, height), Image.Resampling.BICUBIC, box=inner))
    smooth -= smooth.min()
    return smooth / max(float(smooth.max()), float(np.finfo(np.float32).tiny))


def _fetched(picture: Floats, rows: Floats, columns: Floats) -> Floats:
    """The colours at places between pixels, weighted by how near the four pixels around are."""
    top, left = rows.astype(np.intp), columns.astype(np.intp)
    bottom, right = np.minimum(top + 1, picture.shape[0] - 1), np.minimum(left + 1, picture.shape[1] - 1)
    down, across = (rows - top)[:, :, None], (columns - left)[:, :, None]
    above = picture[top, left] * (1 - across) + picture[top, right] * across
    below = picture[bottom, left] * (1 - across) + picture[bottom, right] * across
    mixed: Floats = above * (1 - down) + below * down
    return mixed
