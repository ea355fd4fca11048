"""Add difference as if A had been trained: each number of B - C counts the more, the farther B is from A.

The method trainDifference of the SuperMerger extension (hako-mikan/sd-webui-supermerger, 2023); there is no paper.
"""

from collections.abc import Iterator
from typing import Any

from pochade.operations.methods.method import Method, Stack

_STRENGTH = 1.8  # SuperMerger's: the shares are about a half, and this brings them near add difference again
_LEAST = 1e-37  # where all three agree there is no share, and nothing to add


def _merge(stack: Stack) -> Iterator[Any]:
    for a, b, c in stack.blocks():
        learned = b - c
        far = b.sub_(a).abs_()
        share = far / learned.abs().add_(far).clamp_(min=_LEAST)
        yield a.add_(learned.mul_(share), alpha=stack.alpha * _STRENGTH)


train_difference = Method(
    "train-difference", "A + 1.8 alpha (B - C) |B - A| / (|B - A| + |B - C|)", _merge, 3, 3, alpha=1.0
)
