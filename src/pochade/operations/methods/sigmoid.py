"""The weighted sum along an S-curve: near either end of alpha the nearer model keeps more."""

from typing import Any

from pochade.operations.methods.method import Blocks, Method


def _combine(blocks: Blocks, alpha: float, _measured: None) -> Any:
    return blocks[0].lerp_(blocks[1], alpha * alpha * (3 - 2 * alpha))


sigmoid = Method("sigmoid", "weighted sum along the S-curve 3 alpha^2 - 2 alpha^3", 2, _combine)
