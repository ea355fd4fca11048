"""A (1 - alpha) + B alpha."""

from typing import Any

from pochade.operations.methods.method import Blocks, Method


def _combine(blocks: Blocks, alpha: float, _measured: None) -> Any:
    return blocks[0].lerp_(blocks[1], alpha)


weighted_sum = Method("weighted-sum", "A (1 - alpha) + B alpha", 2, _combine)
