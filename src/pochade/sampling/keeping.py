"""What of an existing picture stays as it was while the rest is drawn anew."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

import torch
from torch import Tensor

_TINY = 1e-5


class Keeping(Protocol):
    """Brings the picture back into latents [B,C,h,w] at a noise level (sigma or timestep, 0-d)."""

    def blend(self, latents: Tensor, level: Tensor) -> Tensor:
        """During the run: into what the model believes is clean, or into what it is shown."""

    def finish(self, latents: Tensor) -> Tensor:
        """Into the result."""


@dataclass(frozen=True, eq=False)
class Kept:
    """Latents `original` [B,C,h,w] and how much of each stays, `share` [h,w] in 0..1."""

    original: Tensor
    share: Tensor

    def blend(self, latents: Tensor, level: Tensor) -> Tensor:
        """The latents where the picture is drawn anew, the original where it stays."""
        return latents * (1 - self.share) + self.original * self.share

    def finish(self, latents: Tensor) -> Tensor:
        """The same as on the way."""
        return self.blend(latents, self.share)


@dataclass(frozen=True, eq=False)
class SoftlyKept(Kept):
    """Lets go of the picture as the noise falls, so that both sides of a soft edge fit together at the end.

    What is drawn anew counts with its share to the power of `scale` times sigma to the `power`; `detail` tells how far
    the longer of two mixed vectors decides over their length.
    """

    power: float = 1.0
    scale: float = 0.5
    detail: float = 4.0

    def blend(self, latents: Tensor, level: Tensor) -> Tensor:
        """Directions are mixed linearly, lengths by a mean that favours the longer."""
        anew = (1 - self.share) ** (level.to(self.share) ** self.power * self.scale)
        mixed: Tensor = self.original * (1 - anew) + latents * anew
        lengths = self._length(self.original) * (1 - anew) + self._length(latents) * anew
        length = torch.linalg.vector_norm(mixed, dim=1, keepdim=True).double() + _TINY
        result: Tensor = mixed * (lengths ** (1 / self.detail) / length).to(latents.dtype)
        return result

    def finish(self, latents: Tensor) -> Tensor:
        """Nothing: the edge is found in the pixels, where the result differs from the original."""
        return latents

    def _length(self, latents: Tensor) -> Tensor:
        length: Tensor = torch.linalg.vector_norm(latents, dim=1, keepdim=True).double() ** self.detail
        return length


Answer = TypeVar("Answer")


def keeping_after(denoise: Callable[[Tensor, Tensor], Tensor], kept: Keeping) -> Callable[[Tensor, Tensor], Tensor]:
    """A denoiser in sigma space that brings the picture back into its clean result."""
    return lambda x, sigma: kept.blend(denoise(x, sigma), sigma)


def keeping_before(model: Callable[[Tensor, Tensor], Answer], kept: Keeping) -> Callable[[Tensor, Tensor], Answer]:
    """A model over timesteps that sees the picture, without noise, where it stays (so A1111 does it)."""
    return lambda x, timestep: model(kept.blend(x, timestep), timestep)
