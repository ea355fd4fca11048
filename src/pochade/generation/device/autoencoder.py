"""A model's VAE at work: whole or in tiles as memory allows, and in full precision where half does not suffice."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from pochade.errors import NumericalError
from pochade.generation.device.memory import TILE, Memory, Way, in_rows
from pochade.generation.device.trouble import cause
from pochade.generation.device.workplace import bytes_of
from pochade.networks import VAE, vae_tiles

Work = Callable[[VAE, Tensor, int], Tensor]
"""What a VAE makes of a tensor, with tiles of a side in pixels, or none."""

_WHOLE_SHARE = 0.75  # of the free memory may be taken by a picture that is worked on whole


@dataclass(frozen=True, eq=False)
class Autoencoder:
    """A VAE on its device in its dtype; `name` is that of its file, `prefix` what its weights' names begin with."""

    vae: VAE
    device: torch.device
    memory: Memory
    name: str
    prefix: str

    @property
    def dtype(self) -> torch.dtype:
        """Numbers that it computes with."""
        return self.vae.quant_conv.weight.dtype

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """Unscaled latents [B, 4, h, w] to pictures [B, 3, H, W], about -1..1, float32.

        Raises NumericalError when the result is no picture.
        """
        pictures = self._made(_decoded, latents, self._pixels(latents))
        if bool((pictures <= -1).all()):
            self.memory.notes.add(
                "The picture is all black: what was drawn lies outside of what the VAE knows; lower --cfg, draw with "
                "--dtype fp32, or take another VAE (--vae FILE)."
            )
        return pictures

    @torch.no_grad()
    def encode(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of the unscaled latents of pictures in -1..1, each [B, 4, h, w], float32.

        Raises NumericalError when they are no numbers.
        """
        height, width = pictures.shape[-2:]
        mean, log_variance = self._made(_encoded, pictures, (height, width)).chunk(2, dim=1)
        return mean, log_variance

    def tile_for(self, width: int, height: int) -> int:
        """The side of the tiles for pictures of this size; 0 where they can be worked on whole.

        That is when about 4 features of the finest level, at its widest, take three quarters of the free memory at
        most: 4 KB per pixel in float32 and 2 KB in the halves for the VAEs of Stable Diffusion.
        """
        free = self.memory.free()
        if free is not None and self.memory.workplace.is_short:
            free -= bytes_of(self.vae)
        needed = vae_tiles.whole_bytes(self.vae, height, width)
        return 0 if free is None or needed <= _WHOLE_SHARE * free else TILE

    def _pixels(self, latents: Tensor) -> tuple[int, int]:
        """Height and width of what latents become."""
        height, width = latents.shape[-2:]
        growth = 2 ** (len(self.vae.decoder.up) - 1)
        return height * growth, width * growth

    def _made(self, work: Work, given: Tensor, size: tuple[int, int]) -> Tensor:
        """What the VAE makes of a tensor, float32, in a way that memory suffices for."""
        height, width = size
        side = self.memory.tile if max(size) > self.memory.tile else 0
        ways = [
            Way("", partial(self._numbers, work, given, side)),
            Way(f"it goes on in tiles of {TILE} pixels", partial(self._sparing, work, given)),
        ]
        advice = f"{width}x{height} pixels are too many; draw a smaller picture (--size) or close other programs"
        return self.memory.sufficing("a picture went through the VAE", ways, advice)

    def _sparing(self, work: Work, given: Tensor) -> Tensor:
        in_rows(self.vae)
        return self._numbers(work, given, TILE)

    def _numbers(self, work: Work, given: Tensor, side: int) -> Tensor:
        height, width = given.shape[-2:] if work is _encoded else self._pixels(given)
        room = vae_tiles.whole_bytes(self.vae, height, width)
        with self.memory.workplace.at_work(self.vae, room):
            made = work(self.vae, given.to(self.device, self.dtype), side).float()
            if not made.isfinite().all() and self.dtype != torch.float32:
                self._note_repetition()
                with _in_full_precision(self.vae, self.dtype) as vae:
                    made = work(vae, given.to(self.device, torch.float32), side)
            if not made.isfinite().all():
                raise self._error(lambda: work(self.vae, given.to(self.device, self.dtype), side))
        return made

    def _note_repetition(self) -> None:
        half = str(self.dtype).removeprefix("torch.")
        self.memory.notes.add(
            f"The VAE went beyond the range of {half}, so its work was repeated in float32, which takes longer; "
            "a VAE that was made for half precision avoids this (--vae FILE)."
        )

    def _error(self, work: Callable[[], object]) -> NumericalError:
        found = cause(self.vae, self.prefix, work)
        return NumericalError(
            f"{self.name}: its VAE gave NaN or infinity, {found.words}; take another one (--vae FILE)."
        )


def _decoded(vae: VAE, latents: Tensor, side: int) -> Tensor:
    return vae_tiles.decode(vae, latents, side) if side else vae.decode(latents)


def _encoded(vae: VAE, pictures: Tensor, side: int) -> Tensor:
    return torch.cat(vae_tiles.encode(vae, pictures, side) if side else vae.encode(pictures), dim=1)


@contextmanager
def _in_full_precision(vae: VAE, dtype: torch.dtype) -> Iterator[VAE]:
    try:
        yield vae.float()
    finally:
        vae.to(dtype)
