"""How much memory there is, and ways to need less of it when it runs out."""

import gc
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

import torch
from torch import nn

from pochade.errors import ResourceError, is_out_of_memory
from pochade.generation.device.notes import Notes
from pochade.generation.device.workplace import WORK, Workplace
from pochade.networks.unet import Attention
from pochade.networks.vae import PixelAttention

T = TypeVar("T")
GIB = 2**30
ROWS = 1024
"""Rows of attention at a time, where memory is short."""
TILE = 256
"""Side in pixels of the tiles on which a VAE works, where memory is short."""
_SHORT = 4  # gigabytes of a card on which attention is done in rows from the start
_MEMORY_INFO = Path("/proc/meminfo")
_OWN_PAGES = Path("/proc/self/statm")


class Way(NamedTuple, Generic[T]):
    """One way to do a work, and the words that tell what is different from the way before."""

    told: str
    work: Callable[[], T]


class Memory:
    """The memory of a device while models work on it: `limit` gigabytes of it at most, or all that is free.

    A second model of the same run shares it. `tile` is the side of a VAE's tiles in pixels, 0 for none.
    """

    def __init__(self, device: torch.device, limit: float | None = None) -> None:
        self.device = device
        self.limit = limit
        self.notes = Notes()
        self.workplace = Workplace.on(device, None)
        self.tile = 0
        self._first_ways: dict[str, int] = {}

    def begin(self, tile: int) -> None:
        """Begin a run with tiles of this side."""
        self.tile = tile
        self.notes.begin()

    def stay_within(self, limit: float | None) -> None:
        """Count with another limit from now on, if there is one; where networks live was decided before."""
        self.limit = self.limit if limit is None else limit

    def free(self) -> int | None:
        """Bytes that may still be taken; None where the system does not tell."""
        free = _free_of_card(self.device) if self.device.type == "cuda" else _free_of_system()
        if self.limit is None:
            return free
        taken = torch.cuda.memory_allocated(self.device) if self.device.type == "cuda" else _own_bytes()
        left = max(0, int(self.limit * GIB) - taken)
        return left if free is None else min(left, free)

    def home_for(self, weights: int) -> torch.device:
        """Where networks of so many bytes are to be kept: on the device, or in main memory when they do not fit there.

        They fit when a gigabyte is left for the work.
        """
        free = self.free()
        if self.device.type == "cpu" or free is None:
            return self.device
        if not self.workplace.is_short:
            if weights + WORK <= free:
                return self.device
            self.workplace = Workplace.on(self.device, free)
        return torch.device("cpu")

    def spare(self, *networks: nn.Module) -> None:
        """Let networks work as the limit asks: on a small card, attention goes over some rows at a time."""
        if self.limit is not None and self.limit <= _SHORT and self.device.type == "cuda":
            in_rows(*networks)

    def sufficing(self, what: str, ways: Sequence[Way[T]], advice: str) -> T:
        """The result of the first of some ways that memory suffices for; what did not suffice is not tried again.

        Raises ResourceError, with an advice, where none does.
        """
        for number in range(self._first_ways.get(what, 0), len(ways)):
            if number and self._first_ways.get(what) != number:
                self._first_ways[what] = number
                self.notes.add(f"Memory ran out while {what}; {ways[number].told}.")
            try:
                return ways[number].work()
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
            self.release()  # when the error is gone, and all that its frames held
        raise ResourceError(f"Memory ran out while {what}; {advice}.")

    def release(self) -> None:
        """Give back what nothing needs at the moment."""
        self.workplace.clear()
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()


def in_rows(*networks: nn.Module) -> None:
    """Let attention go over some rows at a time."""
    for network in networks:
        for each in network.modules():
            if isinstance(each, Attention | PixelAttention):
                each.rows = ROWS


def _free_of_card(device: torch.device) -> int:
    """What the driver has, and what torch keeps without a use for it."""
    kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    free: int = torch.cuda.mem_get_info(device)[0]
    return free + kept


def _free_of_system() -> int | None:
    """What Linux can give to a program without taking it from another one."""
    if not _MEMORY_INFO.exists():
        return None
    lines = dict(line.split(":", 1) for line in _MEMORY_INFO.read_text().splitlines())
    return int(lines["MemAvailable"].split()[0]) * 1024 if "MemAvailable" in lines else None


def _own_bytes() -> int:
    """Memory that this program holds."""
    if not _OWN_PAGES.exists():
        return 0
    return int(_OWN_PAGES.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
