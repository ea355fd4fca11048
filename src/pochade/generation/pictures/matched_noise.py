"""Noise that looks like the picture around it: of the same spectrum and the same colours.

The idea is parlance's g-diffuser-bot's: noise through the amplitudes of the picture's Fourier transform has its
coarseness and its directions, and the picture's colours are then dealt to it by rank.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_COLOURED = 0.05  # share of the noise that each colour has for itself; the rest is shades

Values = NDArray[np.float64]


def with_matched_noise(image: Image.Image, mask: Image.Image, noise: NDArray[np.float32]) -> Image.Image:
    """The picture with noise of its own kind where the mask is white. `noise` is white noise [H, W, 4]."""
    values = np.asarray(image.convert("RGB"), dtype=np.float64)
    share = np.asarray(mask.convert("L"), dtype=np.float64)[..., None] / 255
    known = share[..., 0] < 0.5
    if known.all() or not known.any():
        return image
    shaped = _shaped(noise, (values - values[known].mean(axis=0)) * (1 - share))
    for channel in range(3):
        shaped[~known, channel] = _ranked(shaped[~known, channel], values[known, channel])
    shaped[known] = values[known]
    mixed = values * (1 - share) + shaped * share
    return Image.fromarray(mixed.round().clip(0, 255).astype(np.uint8))


def _shaped(noise: NDArray[np.float32], values: Values) -> Values:
    """White noise with the amplitudes of the Fourier transform of `values` [H, W, 3]."""
    white = noise[..., :1] * (1 - _COLOURED) + noise[..., 1:] * _COLOURED
    amplitudes = np.abs(np.fft.rfft2(values, axes=(0, 1)))
    shaped: Values = np.fft.irfft2(np.fft.rfft2(white, axes=(0, 1)) * amplitudes, s=values.shape[:2], axes=(0, 1))
    return shaped


def _ranked(values: Values, like: Values) -> Values:
    """The values changed to be spread as others are, in the same order."""
    order = np.argsort(values, kind="stable")
    spread = np.interp(np.linspace(0, 1, len(values)), np.linspace(0, 1, len(like)), np.sort(like))
    result = np.empty_like(values)
    result[order] = spread
    return result
