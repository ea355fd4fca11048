"""Why a network gives NaN: which of its parts does so first, and what to do about it."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

_HALVES = {torch.float16: "float16, which ends at 65504", torch.bfloat16: "bfloat16"}


class Place(NamedTuple):
    """A part of a network by its name, and whether what it was given were numbers still."""

    name: str
    given_numbers: bool


class Cause(NamedTuple):
    """Why there are no numbers, in words, and whether the file itself is at fault."""

    words: str
    is_damaged: bool


def cause(network: nn.Module, prefix: str, work: Callable[[], object]) -> Cause:
    """Find out where a network leaves the numbers when it repeats a work; `prefix` is its name in the file."""
    broken = broken_weight(network)
    if broken:
        return Cause(f"because the weight {prefix}{broken} holds NaN or infinity", is_damaged=True)
    place = first_place(network, work)
    dtype = next(network.parameters()).dtype
    where = f"first at {prefix}{place.name}" if place and place.given_numbers else "in what it was given already"
    beyond = f", beyond the range of {_HALVES[dtype]}" if dtype in _HALVES else ""
    return Cause(where + beyond, is_damaged=False)


def broken_weight(network: nn.Module) -> str | None:
    """The name of the first weight that holds NaN or infinity."""
    return next((name for name, each in network.state_dict().items() if not _are_numbers(each)), None)


@torch.no_grad()
def first_place(network: nn.Module, work: Callable[[], object]) -> Place | None:
    """The first part whose result holds NaN or infinity when a network repeats a work.

    Of parts within one another it is the innermost that was given numbers.
    """
    found: list[Place] = []

    def look(name: str) -> Callable[..., None]:
        def seen(module: nn.Module, given: tuple[Any, ...], made: Any) -> None:
            if isinstance(made, Tensor) and not _are_numbers(made):
                found.append(Place(name, all(map(_are_numbers, given))))

        return seen

    hooks = [each.register_forward_hook(look(name)) for name, each in network.named_modules() if name]
    try:
        work()
    finally:
        for hook in hooks:
            hook.remove()
    return next((place for place in found if place.given_numbers), found[0] if found else None)


def _are_numbers(value: object) -> bool:
    return not isinstance(value, Tensor) or not value.is_floating_point() or bool(value.isfinite().all())
