"""Soft inpainting: the edge between old and new lies where the pictures differ, not where the mask ends.

How much of the original is laid over the result follows from the distance between their latents, calmed by two filters
on the sorted values around each, and from the mask as far as it shall count.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from torch import Tensor

from pochade.generation.pictures.resizing import resized
from pochade.generation.request import Request

Floats = NDArray[np.float64]

_REACH = 2  # of the filters, in latents
_SPREAD = 1.5  # of their weights
_LARGEST, _MIDDLE = (0.9, 1.0), (0.25, 0.75)  # which of the sorted values the two filters take
_SMOOTHING = 4  # in pixels, against the steps of the latents


def hole(before: Tensor, after: Tensor, anew: Tensor, request: Request) -> Image.Image:
    """Where the result shows, white, and where the original is laid over it, black, at the size of the run.

    `before` and `after` are latents [C, h, w], `anew` [h, w] how much of each is drawn anew.
    """
    assert request.width is not None and request.height is not None
    change = (after - before).norm(dim=0).cpu().double().numpy()
    change = _filtered(_filtered(change, *_LARGEST), *_MIDDLE)
    half = request.soft_threshold * _tolerance(anew.cpu().double().numpy(), request)
    kept = 1 / (1 + (change / half) ** request.soft_contrast)
    kept = kept**3 * (kept * (6 * kept - 15) + 10)
    values = ((1 - kept) * 255).astype(np.uint8)
    mask = resized(Image.fromarray(values), "Resize and fill", request.width, request.height)
    return mask.filter(ImageFilter.GaussianBlur(_SMOOTHING))


def _tolerance(anew: Floats, request: Request) -> Floats:
    """How many thresholds of change it takes to show half of the result: fewer where the mask counts and is white."""
    from_mask = 1 - anew.clip(0, 1) ** (request.soft_scale / 2)
    influence = request.soft_mask_influence
    share = 0.5 * (1 - influence) + from_mask * influence
    tolerance: Floats = share / (1.00001 - share)
    return tolerance


def _filtered(values: Floats, low: float, high: float) -> Floats:
    """Around each value, the weighted mean of those between two shares of the sorted ones, at least a weight of 1."""
    around, weights = _windows(values)
    order = np.argsort(around, axis=-1, kind="stable")
    around, weights = (np.take_along_axis(each, order, axis=-1) for each in (around, weights))
    ends = weights.cumsum(axis=-1)
    first, last = _stretch(ends[..., -1:], low, high)
    overlap = np.minimum(ends, last) - np.maximum(ends - weights, first)
    overlap = overlap.clip(min=0)
    mean: Floats = (around * overlap).sum(axis=-1) / overlap.sum(axis=-1)
    return mean


def _stretch(total: Floats, low: float, high: float) -> tuple[Floats, Floats]:
    """From where to where in the stacked weights to look."""
    first, last = total * low, total * high
    narrow = last - first < 1
    centre = (first + last) / 2
    first, last = np.where(narrow, centre - 0.5, first), np.where(narrow, centre + 0.5, last)
    beyond = narrow & (last > total)
    first, last = np.where(beyond, total - 1, first), np.where(beyond, total, last)
    before = narrow & (first < 0)
    return np.where(before, 0.0, first), np.where(before, 1.0, last)


def _windows(values: Floats) -> tuple[Floats, Floats]:
    """The values around each [h, w, N], and their weights, which are 0 beyond the picture."""
    side = 2 * _REACH + 1
    steps = np.arange(-_REACH, _REACH + 1) ** 2
    edge = np.exp(-((_REACH + 1) ** 2) / _SPREAD**2)
    kernel = ((np.exp(-(steps[:, None] + steps) / _SPREAD**2) - edge) / (1 - edge)).clip(min=0)
    around = np.lib.stride_tricks.sliding_window_view(np.pad(values, _REACH), (side, side))
    inside = np.lib.stride_tricks.sliding_window_view(np.pad(np.ones_like(values), _REACH), (side, side))
    flat = (*values.shape, side * side)
    return around.reshape(flat), (inside * kernel).reshape(flat)
