"""A + alpha (B - C)."""

from typing import Any

from pochade.operations.methods.method import Blocks, Method


def _combine(blocks: Blocks, alpha: float, _measured: None) -> Any:
    return blocks[0].add_(blocks[1].sub_(blocks[2]), alpha=alpha)


add_difference = Method("add-difference", "A + alpha (B - C)", 3, _combine)
