"""The second pass: a picture that is composed at a small size is enlarged and drawn over at a large one."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from pochade.events import Event
from pochade.generation.model import Model
from pochade.generation.passes import Pass
from pochade.generation.pictures.pixels import image_of, pixels_of
from pochade.generation.pictures.sizes import Enlarged
from pochade.generation.pictures.tiles import Tiles
from pochade.generation.pictures.upscalers import Upscaler

LATENT_MODES = {
    "Latent": ("bilinear", False),
    "Latent (antialiased)": ("bilinear", True),
    "Latent (bicubic)": ("bicubic", False),
    "Latent (bicubic antialiased)": ("bicubic", True),
    "Latent (nearest)": ("nearest", False),
    "Latent (nearest-exact)": ("nearest-exact", False),
}
"""Ways to enlarge latents themselves, under A1111's names: torch's interpolation, and whether it is antialiased."""


class Larger(NamedTuple):
    """Enlarged latents [B,4,h,w], and the pictures [B,3,H,W] in -1..1 where the second pass looks at them."""

    latents: Tensor
    pictures: Tensor | None


@dataclass(frozen=True, eq=False)
class SecondPass:
    """How to enlarge, by a network for pixels or a mode for latents, and how to draw then."""

    enlarged: Enlarged
    upscaler: Upscaler | str
    drawing: Pass
    shows_picture: bool = False

    def enlarge(self, latents: Tensor, model: Model) -> Generator[Event, None, Larger]:
        """The latents at the size of the second pass; yields the upscaler's Steps."""
        if isinstance(self.upscaler, str):
            return self._latents(latents, self.upscaler, model)
        pictures: list[Tensor] = []
        for latent in latents:
            image = image_of(model.decode(latent))
            larger = yield from self.upscaler.enlarge(image, self.enlarged.size, Tiles())
            pictures.append(pixels_of(larger) * 2 - 1)
        whole = torch.cat(pictures)
        return Larger(self._cut(model.encode(whole)), self._cut(whole, model.cell))

    def _latents(self, latents: Tensor, mode: str, model: Model) -> Larger:
        name, antialias = LATENT_MODES[mode]
        width, height = (side // model.cell for side in self.enlarged.size)
        larger = self._cut(F.interpolate(latents, size=(height, width), mode=name, antialias=antialias))
        if not self.shows_picture:
            return Larger(larger, None)
        return Larger(larger, torch.stack([model.decode(latent) for latent in larger]) * 2 - 1)

    def _cut(self, drawn: Tensor, cell: int = 1) -> Tensor:
        """Latents, or pixels of which `cell` go to one latent, without what is beyond the wanted proportion."""
        across, down = self.enlarged.cut
        (top, bottom), (left, right) = ((each // 2 * cell, (each + 1) // 2 * cell) for each in (down, across))
        return drawn[:, :, top : drawn.shape[2] - bottom, left : drawn.shape[3] - right]
