"""The best matrix of low rank, found without the whole decomposition.

Halko, Martinsson and Tropp 2011, "Finding structure with randomness" (arXiv:0909.4061): a random sample of the columns'
span, sharpened by power iterations, then an exact decomposition inside that span.
"""

from dataclasses import dataclass
from typing import Any

_OVERSAMPLING = 16
_ITERATIONS = 2
_WORTH_SAMPLING = 4  # below so many times the rank, the exact way is as fast


@dataclass(frozen=True)
class LowRank:
    """left [rows, rank] @ right [rank, columns]; `error` is the length of what is missing over that of the whole."""

    left: Any
    right: Any
    error: float


def low_rank(matrix: Any, rank: int, seed: int = 0) -> LowRank:
    """Return the nearest matrix of this rank, to within the method's error: for a spectrum that falls it is that of the
    exact decomposition to a few per mille. Singular values go in equal shares to both sides.
    """
    import torch

    rank = min(rank, *matrix.shape)
    if min(matrix.shape) <= _WORTH_SAMPLING * rank:
        left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    else:
        span = _span(matrix, min(rank + _OVERSAMPLING, *matrix.shape), seed)
        inner, values, right = torch.linalg.svd(span.T @ matrix, full_matrices=False)
        left = span @ inner
    whole = float(matrix.square().sum())
    missing = max(0.0, whole - float(values[:rank].square().sum()))
    shares = values[:rank].sqrt()
    error = (missing / whole) ** 0.5 if whole else 0.0
    return LowRank(left[:, :rank] * shares, shares[:, None] * right[:rank], error)


def _span(matrix: Any, count: int, seed: int) -> Any:
    """Return an orthonormal basis of where the matrix sends random vectors."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    sample = matrix @ torch.randn(matrix.shape[1], count, generator=generator)
    for _ in range(_ITERATIONS):
        sample = torch.linalg.qr(sample)[0]
        sample = matrix @ torch.linalg.qr(matrix.T @ sample)[0]
    return torch.linalg.qr(sample)[0]
