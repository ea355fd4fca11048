"""The model with the least sum of distances to all the others: unlike a mean, one stray model hardly moves it.

Weiszfeld 1937, "Sur le point pour lequel la somme des distances de n points donnes est minimum"; for models as in
Pillutla, Kakade and Harchaoui 2019, arXiv 1912.13445. Every tensor has a median of its own.
"""

from collections.abc import Iterator
from typing import Any

from pochade.operations.methods.deltas import deltas
from pochade.operations.methods.distances import squared_distances
from pochade.operations.methods.method import Method, Stack

_ROUNDS = 1000
_SETTLED = 1e-10
_NEAR = 1e-14  # of the largest squared distance: so near a model the median is that model


def _merge(stack: Stack) -> Iterator[Any]:
    shares = _shares(squared_distances(stack)).float()[1:]
    for blocks in stack.blocks():
        base, differences = deltas(blocks)
        yield base.add_(shares @ differences, alpha=stack.alpha)


def _shares(squares: Any) -> Any:
    """Every model's share in the median.

    The square of a mean's distance from model i is (S w)_i - w S w / 2, where w are the shares in the mean and S the
    squared distances between the models: so Weiszfeld's rounds need no numbers but these.
    """
    import torch

    shares = torch.full((len(squares),), 1 / len(squares), dtype=squares.dtype)
    nearest = float(squares.max()) * _NEAR or 1.0
    for _ in range(_ROUNDS):
        before = shares
        across = squares @ shares
        closeness = (across - shares @ across / 2).clamp_(min=nearest).rsqrt_()
        shares = closeness / closeness.sum()
        if (shares - before).abs().max() < _SETTLED:
            break
    return shares


geometric_median = Method(
    "geometric-median", "A (1 - alpha) + alpha times the geometric median of all", _merge, 2, alpha=1.0
)
