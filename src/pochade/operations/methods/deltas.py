"""What tuned models have beyond their base, and where they agree."""

from typing import Any


def deltas(blocks: Any) -> tuple[Any, Any]:
    """Return the first model's numbers and the others' differences from them, in the memory of `blocks`."""
    base, tuned = blocks[0], blocks[1:]
    return base, tuned.sub_(base)


def agreed(differences: Any) -> Any:
    """Return the mean of the differences that have the sign of their sum; the others do not count.

    The election and the disjoint mean of TIES (Yadav et al. 2023, arXiv 2306.01708).
    """
    side = differences.sum(0).sign_()
    count = side.new_zeros(side.shape)
    for difference in differences:  # one by one, so that no more than one block is needed beside them
        agrees = difference.sign() == side
        difference.mul_(agrees)
        count += agrees
    return differences.sum(0).div_(count.clamp_(min=1))
