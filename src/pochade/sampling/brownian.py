"""Brownian paths that depend on the seed alone, not on where or in which order they are asked.

The path over [low, high] is refined by halving; every half draws its noise from a seed that its place in the tree
determines (Li et al., "Scalable gradients for stochastic differential equations", 2020). The numbers are those of
torchsde's BrownianTree, which is what makes old DPM++ SDE seeds come out.
"""

import math
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pochade.sampling.noise import ImageNoise, Shape, generator

_DIGITS = 6  # times are rounded to a millionth
_POOL = 24  # words in the pool of numpy's SeedSequence
_KEPT = 48  # halvings kept per tree: two endpoints, 24 levels deep each

LeafNoise = Callable[[int], Tensor]


@dataclass(frozen=True)
class _Span:
    """One stretch of the path: its place in the tree, its ends, and how far the path moves over it."""

    depth: int
    place: int
    start: float
    end: float
    change: Tensor


class BrownianTree:
    """One Brownian path. `leaf(seed)` gives unit noise; calling the tree gives the path's change between two times."""

    def __init__(self, low: float, high: float, seed: int, leaf: LeafNoise) -> None:
        self._seed = seed
        self._leaf = leaf
        first = np.random.SeedSequence(seed, pool_size=_POOL).generate_state(1)[0]
        change = leaf(int(first)) * math.sqrt(high - low)
        self._root = _Span(0, 0, round(low, _DIGITS), round(high, _DIGITS), change)
        self._halves: OrderedDict[tuple[int, int], tuple[_Span, _Span]] = OrderedDict()

    def __call__(self, start: float, end: float) -> Tensor:
        """The change from `start` to `end`; times beyond the tree's ends count as its ends."""
        start, end = (round(min(max(time, self._root.start), self._root.end), _DIGITS) for time in (start, end))
        if start == end:
            return torch.zeros_like(self._root.change)
        first, *others = (span.change for span in self._cover(self._root, start, end))
        return sum(others, start=first)

    def _cover(self, span: _Span, start: float, end: float) -> Iterator[_Span]:
        """The fewest spans of the tree that together are [start, end], from left to right."""
        if (span.start, span.end) == (start, end):
            yield span
            return
        left, right = self._halve(span)
        if start < left.end:
            yield from self._cover(left, start, min(end, left.end))
        if end > right.start:
            yield from self._cover(right, max(start, right.start), end)

    def _halve(self, span: _Span) -> tuple[_Span, _Span]:
        key = (span.depth, span.place)
        if key not in self._halves:
            self._halves[key] = self._split(span)
            if len(self._halves) > _KEPT:
                self._halves.popitem(last=False)
        self._halves.move_to_end(key)
        return self._halves[key]

    def _split(self, span: _Span) -> tuple[_Span, _Span]:
        """Draw the path's value in the middle of a span (a Brownian bridge)."""
        middle = round(0.5 * (span.end + span.start), _DIGITS)
        seeds = np.random.SeedSequence(self._seed, spawn_key=(span.place, span.depth), pool_size=_POOL)
        noise = self._leaf(int(seeds.generate_state(1)[0]))
        before, after, share = middle - span.start, span.end - middle, 1 / (span.end - span.start)
        left = before * span.change * share + math.sqrt(before * after * share) * noise
        return (
            _Span(span.depth + 1, 2 * span.place, span.start, middle, left),
            _Span(span.depth + 1, 2 * span.place + 1, middle, span.end, span.change - left),
        )


class BrownianNoise:
    """Unit noise between two sigmas, read off one tree per image (or one tree for the whole batch)."""

    def __init__(self, trees: Sequence[BrownianTree], batched: bool, device: torch.device) -> None:
        self._trees = trees
        self._batched = batched
        self._device = device

    def __call__(self, here: Tensor, there: Tensor) -> Tensor:
        """Noise for the stretch from sigma `here` to sigma `there`."""
        start, end = sorted((float(here), float(there)))
        changes = [tree(start, end) for tree in self._trees]
        change = torch.stack(changes) if self._batched else changes[0]
        sign = 1 if here < there else -1
        return (change * sign / (there - here).abs().sqrt()).to(self._device)


def image_trees(noise: ImageNoise, low: float, high: float) -> BrownianNoise:
    """One tree per image, seeded by the image's seed: independent of the company in the batch."""
    trees = [BrownianTree(low, high, seed, _leaf(noise.seeds.source, noise.shape)) for seed in noise.seeds.seeds]
    return BrownianNoise(trees, True, noise.device)


def shared_tree(noise: ImageNoise, low: float, high: float) -> BrownianNoise:
    """One tree for the whole batch, seeded by a draw that follows from the last image's seed."""
    last = torch.Generator().manual_seed(noise.seeds.seeds[-1])
    seed = int(torch.randint(0, 2**63 - 1, [], generator=last))
    leaf = _leaf(noise.seeds.source, (len(noise.seeds.seeds), *noise.shape))
    return BrownianNoise([BrownianTree(low, high, seed, leaf)], False, noise.device)


def _leaf(source: str, shape: Shape) -> LeafNoise:
    def draw(seed: int) -> Tensor:
        return generator(source, seed).randn(shape)

    return draw
