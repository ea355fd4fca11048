"""DARE: of every tuned model's differences from the base a random share stays, scaled up so that they expect the same.

Yu et al. 2023, "Language Models are Super Mario: Absorbing Abilities from Homologous Models as a Free Lunch",
arXiv 2311.03099; what stays is added as in task arithmetic (Ilharco et al. 2022, arXiv 2212.04089).
"""

from collections.abc import Iterator
from typing import Any

from pochade.operations.methods.chance import dice
from pochade.operations.methods.deltas import deltas
from pochade.operations.methods.method import Method, Stack


def _merge(stack: Stack) -> Iterator[Any]:
    throws, density = dice(stack), stack.settings["density"]
    for blocks in stack.blocks():
        base, differences = deltas(blocks)
        for difference, throw in zip(differences, throws, strict=True):
            difference.mul_(throw(difference) < density)
        yield base.add_(differences.sum(0), alpha=stack.alpha / density)


dare = Method(
    "dare",
    "A + alpha times the others' differences from it, thinned at random",
    _merge,
    2,
    alpha=1.0,
    settings={"density": 0.5, "seed": 0},
)
