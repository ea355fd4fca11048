"""ControlNets while a picture is drawn: what several of them, each with its rules, add to one call of the UNet.

The rules are those of the web UI's ControlNet extension, so that its settings give its pictures:

- A control acts while start <= share of the steps done <= end, and counts by its weight; controls are summed. Samplers
  that call the model more than once in a step are counted by their calls.
- "Balanced" treats all blocks, and the rows with the prompt and with the negative prompt, alike.
- "My prompt is more important" lets the blocks near the picture's surface count less: 0.825 to the power of 12 for
  the first, of 11 for the second, and so on. A UNet with fewer blocks (SDXL has ten outlets in place of thirteen)
  begins with the same factors and so never reaches 1.
- "ControlNet is more important" does that too, and leaves out the rows of the negative prompt, so that guidance
  strengthens the hint as it strengthens the prompt. With an empty prompt this is what was called guess mode.
- A control that was trained on shuffled pictures has no say in where things are: it is `averaged` over all pixels,
  and leaves out the rows of the negative prompt as well.
- A T2I-Adapter adds features on the way down instead, four sets, of which the finer ones count less where others let
  the first blocks count less: 0.25, 0.62, 0.825 and 1.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from pochade.errors import UnknownNameError, UsageError
from pochade.generation.controlnet.colour_fix import ColourFix
from pochade.generation.controlnet.control_unit import BALANCED, CONTROL, MODES
from pochade.networks.controlnet import ControlNet
from pochade.networks.t2i_adapter import T2IAdapter

_SOFT = 0.825
_FULL = 12  # the outlet of SD 1 that counts whole: its last, the middle block's
_SOFT_FEATURES = (0.25, 0.62, 0.825, 1.0)
_CELL = 8  # pixels that become one latent


@dataclass(frozen=True, eq=False)
class Control:
    """A ControlNet with its hint [1, 3, H, W] of 0..1 (inpainting: -1 where to paint), at the picture's size.

    `fix` is what it does to colours beside. With `low_vram` the network waits on the CPU between calls.
    Raises UsageError for numbers or a mode that cannot be.
    """

    network: ControlNet | T2IAdapter
    hint: Tensor
    weight: float = 1.0
    start: float = 0.0
    end: float = 1.0
    mode: str = BALANCED
    averaged: bool = False
    fix: ColourFix | None = None
    low_vram: bool = False

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise UnknownNameError("control mode", self.mode, MODES)
        if not 0 <= self.start <= self.end <= 1:
            raise UsageError(f"A control from {self.start} to {self.end} cannot be; it must be 0 <= start <= end <= 1.")

    @cached_property
    @torch.no_grad()
    def embedded(self) -> Tensor:
        """The hint as the network takes it, computed once for all steps."""
        assert isinstance(self.network, ControlNet)
        return self.network.embed(self._hint_for_network)

    @cached_property
    @torch.no_grad()
    def features(self) -> list[Tensor]:
        """What a T2I-Adapter adds, computed once for all steps."""
        assert isinstance(self.network, T2IAdapter)
        found = self.network(self._hint_for_network)
        if self.averaged:
            found = [each.mean((2, 3), keepdim=True) for each in found]
        soft = [1.0] * len(found) if self.mode == BALANCED else _SOFT_FEATURES
        return [each * self.weight * factor for each, factor in zip(found, soft, strict=False)]

    @property
    def _hint_for_network(self) -> Tensor:
        like = next(self.network.parameters())
        return self.hint.to(like.device, like.dtype)

    @property
    def is_one_sided(self) -> bool:
        """Whether rows with the negative prompt go without."""
        return self.averaged or self.mode == CONTROL

    def acts_at(self, fraction: float) -> bool:
        """Whether it has a say when this share of the steps is done."""
        return self.weight != 0 and self.start <= fraction <= self.end

    def rows(self, latents: Tensor, conditional: int, fraction: float) -> int:
        """How many of a call's rows it has a say in, of which the first `conditional` hold the prompt."""
        if not self.acts_at(fraction):
            return 0
        return conditional if self.is_one_sided else len(latents)

    def factors(self, count: int) -> list[float]:
        """By how much each of `count` residuals counts."""
        if self.mode == BALANCED:
            return [self.weight] * count
        return [self.weight * _SOFT ** (_FULL - number) for number in range(count)]

    def residuals(self, latents: Tensor, timesteps: Tensor, context: Tensor, classes: Tensor | None) -> list[Tensor]:
        """What this control alone adds to these rows. Raises UsageError for a hint of another size."""
        assert isinstance(self.network, ControlNet)
        self.network.to(latents.device)
        embedded = self.embedded.to(latents.device)
        if embedded.shape[-2:] != latents.shape[-2:]:
            raise _unlike(embedded, latents)
        found = self.network.residuals(latents, timesteps, context, embedded, classes)
        if self.low_vram:
            self.network.cpu()
        if self.averaged:
            found = [each.mean((2, 3), keepdim=True) for each in found]
        return [each * factor for each, factor in zip(found, self.factors(len(found)), strict=True)]


@torch.no_grad()
def control_of(
    controls: Iterable[Control],
    latents: Tensor,
    timesteps: Tensor,
    context: Tensor,
    conditional: int,
    fraction: float,
    classes: Tensor | None = None,
) -> list[Tensor] | None:
    """The `control` of one call of the UNet, summed over all controls; None where none acts.

    Of the call's rows the first `conditional` hold the prompt, the others the negative prompt; `fraction` is the
    share of the steps that are done.
    """
    total: list[Tensor] | None = None
    for control in controls:
        rows = control.rows(latents, conditional, fraction)
        if not rows or isinstance(control.network, T2IAdapter):
            continue
        told = None if classes is None else classes[:rows]
        found = control.residuals(latents[:rows], timesteps[:rows], context[:rows], told)
        found = [_with_empty_rows(each, len(latents)) for each in found]
        total = found if total is None else [a + b for a, b in zip(total, found, strict=True)]
    return total


def features_of(
    controls: Iterable[Control], latents: Tensor, conditional: int, fraction: float
) -> dict[int, Tensor] | None:
    """What T2I-Adapters add after blocks of the UNet in one call, summed, by the blocks' numbers; None where none acts.

    Raises UsageError for a hint of another size.
    """
    total: dict[int, Tensor] = {}
    for control in controls:
        rows = control.rows(latents, conditional, fraction)
        if not rows or not isinstance(control.network, T2IAdapter):
            continue
        if control.hint.shape[-2:] != tuple(_CELL * side for side in latents.shape[-2:]):
            raise _unlike(control.hint[:, :, ::_CELL, ::_CELL], latents)
        for place, each in zip(control.network.places, control.features, strict=True):
            found = _with_empty_rows(each.to(latents).expand(rows, -1, -1, -1), len(latents))
            total[place] = total[place] + found if place in total else found
    return total or None


def _with_empty_rows(residual: Tensor, rows: int) -> Tensor:
    """The residual with rows of zeros for those that go without."""
    return F.pad(residual, (0, 0, 0, 0, 0, 0, 0, rows - len(residual)))


def _unlike(hint: Tensor, latents: Tensor) -> UsageError:
    """That a hint, of which one pixel in eight is left, is not of the picture's size."""
    seen, drawn = (f"{_CELL * each.shape[-1]}x{_CELL * each.shape[-2]}" for each in (hint, latents))
    return UsageError(f"The hint of a control is {seen} and the picture {drawn} pixels; resize the hint.")


def as_hint(picture: NDArray[Any]) -> Tensor:
    """What a preprocessor gives, [H, W, 3] of 8 bits or, with holes, of float32, as a hint [1, 3, H, W]."""
    values = torch.from_numpy(picture.astype(np.float32) / (255 if picture.dtype == np.uint8 else 1))
    return values.permute(2, 0, 1)[None]
