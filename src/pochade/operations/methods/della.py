"""DELLA: of every tuned model's differences a random share stays, the larger ones more likely; then as in TIES.

Deep, Bhardwaj and Poria 2024, "DELLA-Merging: Reducing Interference in Model Merging through Magnitude-Based Sampling",
arXiv 2406.11617. Numbers are ranked within their row, which the paper found best. `epsilon` is how far the chances to
stay lie apart around `density`; its value and density's are those of the authors' example.
"""

from collections.abc import Iterator
from typing import Any

from pochade.operations.methods.chance import dice
from pochade.operations.methods.deltas import agreed, deltas
from pochade.operations.methods.method import Method, Stack


def _merge(stack: Stack) -> Iterator[Any]:
    throws = dice(stack)
    for rows in stack.rows():
        base, differences = deltas(rows)
        for difference, throw in zip(differences, throws, strict=True):
            chance = _chances(difference, stack.settings["density"], stack.settings["epsilon"])
            difference.mul_(throw(difference) < chance).div_(chance)
        yield base.add_(agreed(differences), alpha=stack.alpha)


def _chances(difference: Any, density: float, epsilon: float) -> Any:
    """The chance of every number to stay, evenly from its row's smallest magnitude to the largest one."""
    import torch

    columns = difference.shape[-1]
    chances = density + epsilon * ((torch.arange(columns) + 0.5) / columns - 0.5)
    order = difference.abs().argsort(stable=True)
    return torch.empty_like(difference).scatter_(-1, order, chances.expand_as(order))


della = Method(
    "della",
    "A + alpha times what the others agree upon, thinned at random by magnitude",
    _merge,
    2,
    alpha=1.0,
    settings={"density": 0.7, "epsilon": 0.14, "seed": 0},
)
