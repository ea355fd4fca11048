"""Weighted sums in which B's weight grows where the models point apart; cosine-b counts the whole tensor too.

Methods of the SuperMerger extension (hako-mikan/sd-webui-supermerger, issue 33, after recoilme/losslessmix, 2023) as
sd-mecha computes them, tensor by tensor; there is no paper. B weighs 1 - clamp(similarity - alpha, 0, 1), for every
column (all the numbers that differ in their first index only) by itself.
"""

from collections.abc import Iterator
from typing import Any

from pochade.operations.methods.method import Method, Stack

_LEAST = 1e-16  # the product of two lengths that are nothing


def _merge_a(stack: Stack) -> Iterator[Any]:
    columns, _ = _similarities(stack)
    yield from _merged(stack, columns)


def _merge_b(stack: Stack) -> Iterator[Any]:
    columns, whole = _similarities(stack)
    yield from _merged(stack, (columns + whole) / 2)


def _merged(stack: Stack, similarity: Any) -> Iterator[Any]:
    weight = (1 - (similarity - stack.alpha).clamp(0, 1)).float()
    for a, b in stack.rows():
        yield a.lerp_(b, weight)


def _similarities(stack: Stack) -> tuple[Any, Any]:
    """Cosines of the angles between A and B: of every column, and of the tensor."""
    import torch

    products = torch.zeros(3, stack.columns, dtype=torch.float64)
    for rows in stack.rows():
        a, b = rows.double()
        for total, (one, other) in zip(products, ((a, b), (a, a), (b, b)), strict=True):
            total += (one * other).sum(0)
    return _cosine(products), _cosine(products.sum(1))


def _cosine(products: Any) -> Any:
    ab, aa, bb = products
    return ab / (aa * bb).sqrt_().clamp_(min=_LEAST)


cosine_a = Method("cosine-a", "more of B where columns point apart", _merge_a, 2, 2, neutral=None)
cosine_b = Method("cosine-b", "more of B where columns and tensors point apart", _merge_b, 2, 2, neutral=None)
