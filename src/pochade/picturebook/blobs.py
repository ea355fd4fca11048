"""Islands in a yes/no picture: smoothing, filling, labelling, and their silhouettes as comparable vectors."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Box = tuple[int, int, int, int]

SILHOUETTE = 24
_REACH = 2.0  # half a silhouette's window, in units of the island's mean spread


@dataclass(frozen=True)
class Blob:
    """One island: its filled area, its own pixels, and its box (left, top, right, bottom; the last two excluded)."""

    filled: Mask
    pixels: Mask
    box: Box

    @property
    def area(self) -> int:
        """Pixels of the filled area."""
        return int(self.filled.sum())


def grow(mask: Mask, by: int = 1) -> Mask:
    """The mask with a diamond-shaped rim of `by` pixels more."""
    for _ in range(by):
        padded = np.pad(mask, 1)
        mask = padded[1:-1, 1:-1] | padded[:-2, 1:-1] | padded[2:, 1:-1] | padded[1:-1, :-2] | padded[1:-1, 2:]
    return mask


def shrink(mask: Mask, by: int = 1) -> Mask:
    """The mask without a rim of `by` pixels; the picture's own border takes nothing away."""
    return ~grow(~mask, by)


def label(mask: Mask) -> NDArray[np.int32]:
    """Number the 4-connected islands from 1; 0 is outside. Whole runs of a row are joined, not single pixels."""
    height, width = mask.shape
    edges = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    rows, starts = np.nonzero(edges == 1)
    ends = np.nonzero(edges == -1)[1]
    roots = _join(rows.tolist(), starts.tolist(), ends.tolist())
    numbers = np.unique(np.array(roots, np.int64), return_inverse=True)[1] + 1 if roots else np.zeros(0, np.int64)
    steps = np.zeros((height, width + 1), np.int32)
    steps[rows, starts] += numbers.astype(np.int32)
    steps[rows, ends] -= numbers.astype(np.int32)
    labels: NDArray[np.int32] = np.cumsum(steps, axis=1, dtype=np.int32)[:, :width]
    return labels


def _join(rows: list[int], starts: list[int], ends: list[int]) -> list[int]:
    """For every run the number of the run that stands for its island."""
    parents = list(range(len(rows)))

    def root(run: int) -> int:
        while parents[run] != run:
            parents[run] = parents[parents[run]]
            run = parents[run]
        return run

    above = 0
    for run, row in enumerate(rows):
        while above < run and (rows[above] < row - 1 or (rows[above] == row - 1 and ends[above] <= starts[run])):
            above += 1
        other = above
        while other < run and rows[other] == row - 1 and starts[other] < ends[run]:
            parents[root(other)] = root(run)
            other += 1
    return [root(run) for run in range(len(rows))]


def find_blobs(mask: Mask, least: int) -> list[Blob]:
    """Islands of at least `least` filled pixels, largest first. Gaps of two pixels are bridged."""
    bridged = np.pad(mask, 4)
    bridged = shrink(grow(bridged, 2), 2)
    outside = label(~bridged)
    filled = (outside != outside[0, 0])[4:-4, 4:-4]
    labels = label(filled)
    sizes = np.bincount(labels.ravel())
    found = [number for number in range(1, len(sizes)) if sizes[number] >= least]
    return [_blob(labels == number, mask) for number in sorted(found, key=lambda number: -sizes[number])]


def _blob(filled: Mask, mask: Mask) -> Blob:
    ys, xs = np.nonzero(filled.any(1))[0], np.nonzero(filled.any(0))[0]
    return Blob(filled, filled & mask, (int(xs[0]), int(ys[0]), int(xs[-1]) + 1, int(ys[-1]) + 1))


def silhouette(filled: Mask) -> NDArray[np.float32]:
    """The filled shape as a zero-mean unit vector, whatever its place and size (but not its bearing)."""
    ys, xs = np.nonzero(filled)
    y, x = ys.mean(), xs.mean()
    spread = max(1.0, float(np.sqrt(((ys - y) ** 2 + (xs - x) ** 2).mean())))
    grid = (np.arange(SILHOUETTE) + 0.5) / SILHOUETTE * 2 - 1
    offsets = grid * _REACH * spread
    samples = _smooth_samples(filled, y + offsets, x + offsets).ravel()
    samples -= samples.mean()
    vector: NDArray[np.float32] = (samples / max(float(np.linalg.norm(samples)), 1e-6)).astype(np.float32)
    return vector


def _smooth_samples(filled: Mask, ys: NDArray[np.float64], xs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bilinear samples; beyond the picture there is nothing."""
    margin = 64
    padded = np.pad(filled, margin).astype(np.float64)
    ys, xs = (np.clip(values + margin, 0, padded.shape[0] - 2) for values in (ys, xs))
    top, left = ys.astype(int), xs.astype(int)
    down, right = (ys - top)[:, None], (xs - left)[None]
    upper = padded[np.ix_(top, left)] * (1 - right) + padded[np.ix_(top, left + 1)] * right
    lower = padded[np.ix_(top + 1, left)] * (1 - right) + padded[np.ix_(top + 1, left + 1)] * right
    samples: NDArray[np.float64] = upper * (1 - down) + lower * down
    return samples
