"""OFT: blocks of output channels are rotated (Qiu et al. 2023, arXiv:2306.07280); Cayley's form of the rotations."""

from typing import Any

from pochade.adapters.algorithm import Algorithm, Parts, identity, inverse


def rotations(blocks: Any, parts: Parts, channels: int) -> Any:
    """Return (I + Q)(I - Q)^-1 for the skew part Q of every block, its length held below the constraint if any."""
    skew = blocks - blocks.swapaxes(-1, -2)
    constraint = float(parts["alpha"]) * channels if "alpha" in parts else 0.0
    if constraint > 0:
        length = float((skew * skew).sum()) ** 0.5
        skew = skew * min(1.0, constraint / (length + 1e-8))
    one = identity(skew, skew.shape[-1])
    return (one + skew) @ inverse(one - skew)


def _delta(weight: Any, parts: Parts, strength: float) -> Any:
    turns = _turns(parts, weight.shape[0]).swapaxes(-1, -2)
    count, size, _ = turns.shape
    turned = turns @ weight.reshape(count, size, -1)
    return (rescaled(turned.reshape(weight.shape), parts) - weight) * strength


def _turns(parts: Parts, channels: int) -> Any:
    """Return the rotations; LyCORIS once stored them as they are."""
    return parts["oft_diag"] if "oft_diag" in parts else rotations(parts["oft_blocks"], parts, channels)


def rescaled(weight: Any, parts: Parts) -> Any:
    """Return a weight with its output channels stretched, if the module learnt to."""
    if "rescale" not in parts:
        return weight
    return weight * parts["rescale"].reshape(-1, *[1] * (weight.ndim - 1))


OFT = Algorithm("oft", ("oft_blocks", "oft_diag"), _delta)
