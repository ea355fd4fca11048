"""What each batch of a run begins with: nothing, or pictures with what of them is kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from pochade.generation.conditioning import Scene, teller
from pochade.generation.model import Model
from pochade.generation.parameters.picture_fields import RunFacts
from pochade.generation.passes import Start, Tell
from pochade.generation.pictures import soft
from pochade.generation.pictures.canvas import FITTED, Canvas, canvas_of
from pochade.generation.pictures.colours import recoloured
from pochade.generation.pictures.inputs import Inputs
from pochade.generation.pictures.pixels import pixels_of
from pochade.generation.pictures.resizing import resized
from pochade.generation.request import Request
from pochade.sampling import ImageNoise, Kept, Seeds, SoftlyKept


@dataclass(frozen=True, eq=False)
class Beginning:
    """The pictures that a resolved request begins with, ready for its model."""

    model: Model
    request: Request
    inputs: Inputs

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the latents."""
        assert self.request.width is not None and self.request.height is not None
        return self.request.height // self.model.cell, self.request.width // self.model.cell

    @cached_property
    def canvases(self) -> Sequence[Canvas]:
        """The pictures at the size of the run; those that an upscaler looks at have the size of its latents."""
        cell = self.model.cell if self.model.variant.noises_picture else 1
        size = (self.size[1] * self.model.cell // cell, self.size[0] * self.model.cell // cell)
        return [canvas_of(image, self.inputs.mask, self.request, size) for image in self.inputs.images]

    def canvas(self, index: int) -> Canvas | None:
        """What picture number `index` begins with."""
        return self.canvases[index % len(self.canvases)] if self.canvases else None

    def facts(self, index: int) -> RunFacts:
        """What A1111 tells of picture number `index` beside its request."""
        canvas = self.canvas(index)
        blank = self.inputs.mask is not None and canvas is not None and canvas.mask is None
        return RunFacts(self.model.variant.name, blank)

    def notes(self) -> list[str]:
        """What the user should know before the drawing."""
        blank = [canvas for canvas in self.canvases if self.inputs.mask is not None and canvas.mask is None]
        return ["The mask covers nothing, so the whole picture is drawn over."] if blank else []

    def start(self, indices: range, seeds: Seeds) -> Start:
        """What a batch begins with, and what the model is told beside the text."""
        canvases = [canvas for canvas in map(self.canvas, indices) if canvas]
        depths = self.depths(indices)
        if not canvases:
            return Start(tell=teller(self.model, self.request, Scene(self.size, seeds, depths=depths)))
        pictures = torch.cat([pixels_of(canvas.image) for canvas in canvases]) * 2 - 1
        scene = Scene(self.size, seeds, pictures, _masks(canvases), depths)
        tell = teller(self.model, self.request, scene)
        if self.model.variant.noises_picture:
            return Start(tell=tell)
        latents = self.model.encode(pictures)
        if latents.shape[2:] != self.size:
            latents = F.interpolate(latents, size=self.size, mode="bilinear")
        return Start(latents, tell=tell) if scene.masks is None else self._masked(latents, canvases, seeds, tell)

    def _masked(self, latents: Tensor, canvases: Sequence[Canvas], seeds: Seeds, tell: Tell) -> Start:
        """Begin with latents of which a part is kept, and the rest is filled as the request asks."""
        anew = self._shares(canvases).to(latents)
        if self.request.fill == "latent noise":
            noise = ImageNoise(tuple(latents.shape[1:]), Seeds(seeds=seeds.seeds, source=seeds.source), latents.device)
            latents = latents * (1 - anew) + noise.first() * anew
        elif self.request.fill == "latent nothing":
            latents = latents * (1 - anew)
        return Start(latents, self._kept(latents, anew), tell)

    def _kept(self, latents: Tensor, anew: Tensor) -> Kept:
        request = self.request
        if not request.soft:
            return Kept(latents, 1 - anew)
        return SoftlyKept(
            latents, 1 - anew, power=request.soft_power, scale=request.soft_scale, detail=request.soft_detail
        )

    def finished(self, image: Image.Image, latent: Tensor, start: Start, index: int, place: int) -> Image.Image:
        """A drawn picture, number `index` of all and `place` of its batch, with all that is kept laid over it."""
        canvas = self.canvas(index)
        if canvas is None:
            return image
        if self.request.color_correction:
            image = recoloured(image, canvas.image)
        hole = None
        if self.request.soft and start.kept is not None and start.picture is not None:
            anew = 1 - start.kept.share[place, 0]
            hole = soft.hole(start.picture[place], latent, anew, self.request)
        return canvas.finished(image, hole)

    def _shares(self, canvases: Sequence[Canvas]) -> Tensor:
        """How much of each latent is drawn anew [B, 1, h, w]; everything, where a mask covers nothing."""
        size = (self.size[1], self.size[0])
        small = [canvas.mask.resize(size) if canvas.mask else Image.new("L", size, 255) for canvas in canvases]
        shares = torch.stack([torch.from_numpy(np.asarray(each, dtype=np.float32) / 255) for each in small])[:, None]
        return shares.round() if self.request.rounds_mask else shares

    def depths(self, indices: range) -> Tensor | None:
        """The given depth map [B, 1, H, W], for each picture cut out and resized as the picture itself."""
        depth = self.inputs.depth
        if depth is None:
            return None
        return torch.cat([pixels_of(self._laid_over(depth, index))[:, :1] for index in indices])

    def _laid_over(self, depth: Image.Image, index: int) -> Image.Image:
        """A map of picture number `index`, of any size, as it lies over the run."""
        width, height = self.size[1] * self.model.cell, self.size[0] * self.model.cell
        canvas, grey = self.canvas(index), depth.convert("L")
        if canvas is None:
            return resized(grey, self.request.resize_mode, width, height)
        whole = grey.resize(self.inputs.images[index % len(self.inputs.images)].size, Image.Resampling.BICUBIC)
        if canvas.place is None:
            return resized(whole, self.request.resize_mode, width, height)
        return resized(whole.crop(canvas.place), FITTED, width, height)


def _masks(canvases: Sequence[Canvas]) -> Tensor | None:
    """The masks [B, 1, H, W] in 0..1; None where there are none."""
    masks = [canvas.mask for canvas in canvases]
    if not any(masks):
        return None
    return torch.cat([pixels_of(mask or Image.new("L", canvases[0].image.size, 255))[:, :1] for mask in masks])
