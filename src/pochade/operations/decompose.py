"""The best matrix of low rank, found without the whole decomposition.

Of any matrix, after Halko, Martinsson and Tropp 2011, "Finding structure with randomness" (arXiv:0909.4061): a random
sample of the columns' span, sharpened by power iterations, then an exact decomposition inside that span. Of a product
of two thin matrices, exactly: what is left between orthonormal bases of both is no larger than the product's rank.
"""

from dataclasses import dataclass
from typing import Any

_OVERSAMPLING = 16
_ITERATIONS = 2
_WORTH_SAMPLING = 4  # below so many times the rank, the exact way is as fast
_ROUNDING = 1e-6  # the part of a squared length below which nothing is missing


@dataclass(frozen=True)
class LowRank:
    """left [rows, rank] @ right [rank, columns]; `error` is the length of what is missing over that of the whole."""

    left: Any
    right: Any
    error: float


@dataclass(frozen=True)
class Spectrum:
    """A matrix taken apart: left [rows, n], its singular values [n], largest first, and right [n, columns].

    `whole` is its squared length; where the smallest values were left out, it counts them nevertheless.
    """

    left: Any
    values: Any
    right: Any
    whole: float

    def low_rank(self, rank: int) -> LowRank:
        """Return the nearest matrix of this rank. Singular values go in equal shares to both sides."""
        squares = self.values.square()
        beyond = self.whole - float(squares.sum())
        missing = float(squares[rank:].sum()) + (beyond if beyond > _ROUNDING * self.whole else 0.0)
        error = (missing / self.whole) ** 0.5 if self.whole else 0.0
        shares = self.values[:rank].sqrt()
        return LowRank(self.left[:, :rank] * shares, shares[:, None] * self.right[:rank], error)


def low_rank(matrix: Any, rank: int, seed: int = 0) -> LowRank:
    """Return the nearest matrix of this rank, to within the method's error: for a spectrum that falls it is that of the
    exact decomposition to a few per mille.
    """
    return spectrum(matrix, rank, seed).low_rank(rank)


def spectrum(matrix: Any, count: int, seed: int = 0) -> Spectrum:
    """Return at least the first `count` singular values of a matrix with their vectors, or all if it has fewer."""
    import torch

    whole = float(matrix.square().sum())
    if min(matrix.shape) <= _WORTH_SAMPLING * count:
        left, values, right = torch.linalg.svd(matrix, full_matrices=False)
        return Spectrum(left, values, right, whole)
    span = _span(matrix, min(count + _OVERSAMPLING, *matrix.shape), seed)
    inner, values, right = torch.linalg.svd(span.T @ matrix, full_matrices=False)
    return Spectrum(span @ inner, values, right, whole)


def spectrum_of_product(left: Any, right: Any) -> Spectrum:
    """Return all singular values of left [rows, n] @ right [n, columns], exactly, without the product."""
    import torch

    rows, upper = torch.linalg.qr(left)
    columns, lower = torch.linalg.qr(right.T)
    inner, values, outer = torch.linalg.svd(upper @ lower.T, full_matrices=False)
    return Spectrum(rows @ inner, values, outer @ columns.T, float(values.square().sum()))


def _span(matrix: Any, count: int, seed: int) -> Any:
    """Return an orthonormal basis of where the matrix sends random vectors."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    sample = matrix @ torch.randn(matrix.shape[1], count, generator=generator)
    for _ in range(_ITERATIONS):
        sample = torch.linalg.qr(sample)[0]
        sample = matrix @ torch.linalg.qr(matrix.T @ sample)[0]
    return torch.linalg.qr(sample)[0]
