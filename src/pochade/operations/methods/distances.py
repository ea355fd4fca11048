"""How far models are from each other: methods that ask for more than that need not go over the numbers again."""

from itertools import combinations
from typing import Any

from pochade.operations.methods.method import Stack


def squared_distances(stack: Stack) -> Any:
    """Return the square of the distance between every two models of a stack, as a float64 tensor."""
    import torch

    squares = torch.zeros(stack.models, stack.models, dtype=torch.float64)
    for blocks in stack.blocks():
        for one, other in combinations(range(stack.models), 2):
            between = (blocks[one] - blocks[other]).double()
            squares[one, other] += between @ between
    return squares + squares.T
