"""The style of a picture: how thick its things are, how they sit on the block grid, how steep their edges are."""

import numpy as np
from numpy.typing import NDArray

from .blobs import Blob, grow, shrink

Pixels = NDArray[np.float32]

_BLOCK = 4
_HOLLOW = 0.32  # an outline keeps less of its area three pixels inside
_BLOCKY = 0.48  # residue on the block grid relative to a shifted grid
_STEEP = 0.215  # slope of an edge per pixel, in units of its height


def manner(pixels: Pixels, distance: Pixels, blobs: list[Blob]) -> str:
    """The style word; `distance` is every pixel's distance to the background."""
    if not blobs:
        return "flat"
    if blockiness(pixels, blobs) < _BLOCKY:
        return "pixel"
    if thickness(blobs) < _HOLLOW:
        return "outline"
    return "flat" if steepness(distance, blobs) > _STEEP else "soft"


def thickness(blobs: list[Blob]) -> float:
    """The share of the filled areas that lies three pixels inside the foreground."""
    return float(sum(shrink(blob.pixels, 3).sum() for blob in blobs) / sum(blob.area for blob in blobs))


def blockiness(pixels: Pixels, blobs: list[Blob]) -> float:
    """What whole blocks leave unexplained around the things, relative to a grid that is half a block off."""
    near = grow(np.logical_or.reduce([blob.filled for blob in blobs]), 2)
    half = _BLOCK // 2
    inner = (slice(_BLOCK, -_BLOCK), slice(_BLOCK, -_BLOCK))
    aligned = _residue(pixels)[inner]
    shifted = _residue(pixels[half:-half, half:-half])[half:-half, half:-half]
    weight = near[inner]
    return float((aligned * weight).sum() / max((shifted * weight).sum(), 1e-6))


def _residue(pixels: Pixels) -> Pixels:
    """Squared differences from the mean of each block."""
    height, width, channels = pixels.shape
    blocks = pixels.reshape(height // _BLOCK, _BLOCK, width // _BLOCK, _BLOCK, channels)
    rest = blocks - blocks.mean((1, 3), keepdims=True)
    residue: Pixels = np.einsum("...c,...c->...", rest, rest).reshape(height, width)
    return residue


def steepness(distance: Pixels, blobs: list[Blob]) -> float:
    """The slope of the things' edges, as a share of their height over the background."""
    down, across = np.gradient(distance)
    slope = np.hypot(down, across)
    shares = []
    for blob in blobs:
        rim = grow(blob.filled) & ~shrink(blob.filled, 2)
        height = np.median(distance[blob.pixels])
        shares.append(np.percentile(slope[rim], 75) / height)
    return float(np.mean(shares))
