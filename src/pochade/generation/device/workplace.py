"""The card on which networks work: all stay there if they fit, else each comes when it is needed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from pochade.networks.unet import Half

WORK = 2**30
"""Bytes beside the weights that a network is given to work with, by estimate enough for the families' own sizes."""

Carry = Callable[[Tensor], Tensor]
"""Brings a tensor to where the work is."""


class Lent(NamedTuple):
    """A tensor of a network, and its numbers at home."""

    tensor: Tensor
    home: Tensor


class Workplace:
    """Room of `budget` bytes for weights and work; without a budget the networks are there already.

    When room is short, the network that was needed longest ago goes home, where its weights have waited unchanged: who
    changes weights does so after `clear`. A UNet or ControlNet that is itself too large comes block by block.
    """

    def __init__(self, budget: int | None, carry: Carry) -> None:
        self._budget = budget
        self._carry = carry
        self._here: dict[nn.Module, list[Lent]] = {}

    @classmethod
    def on(cls, device: torch.device, budget: int | None) -> "Workplace":
        """A place on a device."""
        return cls(budget, partial(torch.Tensor.to, device=device))

    @property
    def is_short(self) -> bool:
        """Whether networks come and go."""
        return self._budget is not None

    @property
    def present(self) -> list[nn.Module]:
        """The networks that are there, the one that was needed longest ago first."""
        return list(self._here)

    @contextmanager
    def at_work(self, network: nn.Module, work: int = WORK) -> Iterator[None]:
        """Within this context a network can work, with so many bytes beside its weights."""
        if self._budget is None:
            yield
        elif isinstance(network, Half) and bytes_of(network) + work > self._budget:
            self.clear()
            with self._in_blocks(network):
                yield
        else:
            self._fetch(network, self._budget - work)
            yield

    def clear(self) -> None:
        """Send all home."""
        for network in self.present:
            self._send_home(network)

    def _fetch(self, network: nn.Module, room: int) -> None:
        lent = self._here.pop(network, None)
        for other in self.present:
            if bytes_of(network) + sum(map(bytes_of, self._here)) > room:
                self._send_home(other)
        self._here[network] = lent if lent is not None else self._lend(_tensors(network))

    def _send_home(self, network: nn.Module) -> None:
        _give_back(self._here.pop(network))

    def _lend(self, tensors: Iterator[Tensor]) -> list[Lent]:
        lent = [Lent(each, each.data) for each in tensors]
        for each in lent:
            each.tensor.data = self._carry(each.home)
        return lent

    @contextmanager
    def _in_blocks(self, network: nn.Module) -> Iterator[None]:
        """Within this context each block of a network comes before it works and goes after it."""
        hooks = [hook for block in _blocks(network) for hook in self._visits(block)]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _visits(self, block: nn.Module) -> list[Any]:
        lent: list[Lent] = []

        def come(*_: object) -> None:
            lent.extend(self._lend(_tensors(block)))

        def go(*_: object) -> None:
            _give_back(lent)
            lent.clear()

        return [block.register_forward_pre_hook(come), block.register_forward_hook(go, always_call=True)]


def bytes_of(network: nn.Module) -> int:
    """Bytes of a network's weights."""
    return sum(each.nbytes for each in _tensors(network))


def _tensors(network: nn.Module) -> Iterator[Tensor]:
    return chain(network.parameters(), network.buffers())


def _give_back(lent: list[Lent]) -> None:
    for each in lent:
        each.tensor.data = each.home


def _blocks(network: nn.Module) -> Iterator[nn.Module]:
    """The parts of a UNet or ControlNet that work one after the other."""
    for part in network.children():
        yield from part if isinstance(part, nn.ModuleList) and type(part) is nn.ModuleList else [part]
