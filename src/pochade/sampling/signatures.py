"""What samplers take and give: the callables injected into them and the value they yield after every step."""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from torch import Tensor

Denoise: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""(noisy latents [B,C,h,w], sigma as a 0-d CPU tensor) -> what the model believes is the clean picture."""

Epsilon: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""(latents in variance-preserving scale, timestep as a 0-d CPU tensor) -> the noise the model sees in them."""

EpsilonPair: TypeAlias = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Like Epsilon, but (guided noise, unconditional noise)."""

Noise: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""(sigma left, sigma reached) -> unit noise in the shape of the latents for that stretch."""


class Stage(NamedTuple):
    """The state after one step. The latents of the last stage are the result; `denoised` makes good previews."""

    latents: Tensor
    denoised: Tensor
