"""Where randomness comes from: noise sources, and one generator per image so that a batch equals single runs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from pochade.errors import UnknownNameError
from pochade.sampling.philox import Philox

Shape = tuple[int, ...]
LATENT_CELL = 8
"""Pixels per latent cell; seed resize is given in pixels."""


class Generator(Protocol):
    """A seeded stream of normal noise."""

    def randn(self, shape: Shape) -> Tensor:
        """The next draw, float32."""


class TorchGenerator:
    """torch's own generator of one device."""

    def __init__(self, seed: int, device: str = "cpu") -> None:
        self._generator = torch.Generator(device).manual_seed(int(seed))

    def randn(self, shape: Shape) -> Tensor:
        """The next draw, float32, on the generator's device."""
        return torch.randn(shape, generator=self._generator, device=self._generator.device)


class NvGenerator:
    """NVIDIA's sequence computed on the CPU: the same pictures as most published seeds, on any machine."""

    def __init__(self, seed: int) -> None:
        self._philox = Philox(int(seed))

    def randn(self, shape: Shape) -> Tensor:
        """The next draw, float32, on the CPU."""
        return torch.from_numpy(self._philox.randn(shape))


def _gpu(seed: int) -> Generator:
    """The CUDA generator, or the CPU one on machines without CUDA."""
    return TorchGenerator(seed, "cuda" if torch.cuda.is_available() else "cpu")


SOURCES: dict[str, Callable[[int], Generator]] = {"cpu": TorchGenerator, "nv": NvGenerator, "gpu": _gpu}


def generator(source: str, seed: int) -> Generator:
    """A fresh stream of the noise source `cpu`, `nv` or `gpu`."""
    make = SOURCES.get(source.casefold())
    if make is None:
        raise UnknownNameError("noise source", source, SOURCES)
    return make(seed)


@dataclass(frozen=True, kw_only=True)
class Seeds:
    """Everything that determines the noise of one batch.

    `strength` blends the noise of `subseeds` in; `resize_from` is the (width, height) in pixels whose composition is
    kept at another size; `eta_delta` (ENSD) moves the seeds of all noise after the first.
    """

    seeds: tuple[int, ...]
    source: str = "cpu"
    subseeds: tuple[int, ...] = ()
    strength: float = 0.0
    resize_from: tuple[int, int] | None = None
    eta_delta: int = 0


class ImageNoise:
    """The noise of a batch: `first()` is the initial latent noise, each `next()` one more draw of every image."""

    def __init__(self, shape: Shape, seeds: Seeds, device: torch.device | str = "cpu") -> None:
        self.shape = shape
        self.seeds = seeds
        self.device = torch.device(device)
        self._generators = [generator(seeds.source, seed) for seed in seeds.seeds]

    def first(self) -> Tensor:
        """The initial noise [B,C,h,w]; afterwards the generators follow ENSD."""
        drawn = torch.stack([self._initial(index) for index in range(len(self._generators))])
        if self.seeds.eta_delta:
            moved = (seed + self.seeds.eta_delta for seed in self.seeds.seeds)
            self._generators = [generator(self.seeds.source, seed) for seed in moved]
        return drawn.to(self.device)

    def next(self) -> Tensor:
        """The next draw of every image [B,C,h,w]."""
        return torch.stack([each.randn(self.shape) for each in self._generators]).to(self.device)

    def _initial(self, index: int) -> Tensor:
        seeds, own = self.seeds, self._generators[index]
        small = self._resized_from()
        noise = own.randn(self.shape) if small is None else self._fresh(seeds.seeds[index], small)
        if seeds.strength:
            subseed = seeds.subseeds[index] if index < len(seeds.subseeds) else 0
            noise = slerp(seeds.strength, noise, self._fresh(subseed, small or self.shape))
        return noise if small is None else paste_centred(noise, own.randn(self.shape))

    def _resized_from(self) -> Shape | None:
        if self.seeds.resize_from is None or min(self.seeds.resize_from) <= 0:
            return None
        width, height = self.seeds.resize_from
        small = (self.shape[0], height // LATENT_CELL, width // LATENT_CELL)
        return None if small == self.shape else small

    def _fresh(self, seed: int, shape: Shape) -> Tensor:
        return generator(self.seeds.source, seed).randn(shape)


def slerp(amount: float, low: Tensor, high: Tensor) -> Tensor:
    """Spherical interpolation of two [C,h,w] noises.

    Old variation seeds depend on two oddities: angles are measured along dim 1 (rows of each column), and nearly
    parallel noises are blended linearly with the roles swapped.
    """
    low_unit = low / torch.norm(low, dim=1, keepdim=True)
    high_unit = high / torch.norm(high, dim=1, keepdim=True)
    cosine = (low_unit * high_unit).sum(1)
    if cosine.mean() > 0.9995:
        return low * amount + high * (1 - amount)
    omega = torch.acos(cosine).unsqueeze(1)
    return (torch.sin((1.0 - amount) * omega) * low + torch.sin(amount * omega) * high) / torch.sin(omega)


def paste_centred(noise: Tensor, ground: Tensor) -> Tensor:
    """`ground` with `noise` laid over its centre; what does not fit is cropped. Both are [C,h,w]."""
    result = ground.clone()
    (rows, from_rows), (columns, from_columns) = (_overlap(noise.shape[axis], ground.shape[axis]) for axis in (1, 2))
    result[:, rows, columns] = noise[:, from_rows, from_columns]
    return result


def _overlap(size: int, target: int) -> tuple[slice, slice]:
    """Where `size` cells centred on `target` cells land, and which of them do."""
    shift = (target - size) // 2
    length = size if shift >= 0 else size + 2 * shift
    return slice(max(shift, 0), max(shift, 0) + length), slice(max(-shift, 0), max(-shift, 0) + length)
