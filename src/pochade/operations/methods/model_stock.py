"""Model stock: from the base towards the mean of tuned models, the farther the more these went the same way.

Jang, Yun and Han 2024, "Model Stock: All we need is just a few fine-tuned models", arXiv 2403.19522; the share is every
tensor's own. Of more than two tuned models the mean of all cosines counts.
"""

from collections.abc import Iterator
from typing import Any

from pochade.operations.methods.deltas import deltas
from pochade.operations.methods.distances import squared_distances
from pochade.operations.methods.method import Method, Stack

_LEAST = 1e-38  # a model that is its base went no way


def _merge(stack: Stack) -> Iterator[Any]:
    share = _share(squared_distances(stack))
    for blocks in stack.blocks():
        base, differences = deltas(blocks)
        yield base.add_(differences.mean(0), alpha=stack.alpha * share)


def _share(squares: Any) -> float:
    """How far to go: n cos / (1 + (n - 1) cos) for n tuned models; where they went apart, not at all."""
    import torch

    lengths, between = squares[0, 1:], squares[1:, 1:]
    products = (lengths + lengths.unsqueeze(1) - between) / 2
    cosines = products / (lengths * lengths.unsqueeze(1)).sqrt().clamp_(min=_LEAST)
    count = len(lengths)
    pairs = torch.triu_indices(count, count, 1)
    cosine = float(cosines[pairs[0], pairs[1]].mean().clamp(0, 1))
    return count * cosine / (1 + (count - 1) * cosine)


model_stock = Method(
    "model-stock", "A + alpha times the others' mean difference, the more the more alike they are", _merge, 3, alpha=1.0
)
