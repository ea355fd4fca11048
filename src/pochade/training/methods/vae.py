"""Train the autoencoder from nothing: L1 and KL first, then the decoder alone with squared error (sharp, then calm)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pochade.networks import VAE
from pochade.networks.vae import sample
from pochade.training import chance
from pochade.training.pictures import Pictures, Pixels, as_tensor

Parts = Literal["all", "decoder"]


@dataclass
class VAETraining:
    """`crop` is the side of the squares cut from the pictures; `loss` is "l1" or "mse"; `kl` weighs the KL term.

    With `parts="decoder"` the encoder stays as it is, so latents that were made with it stay valid.
    """

    vae: VAE
    pictures: Pictures
    batch: int
    crop: int
    seed: int
    kind: Literal["l1", "mse"] = "l1"
    parts: Parts = "all"
    kl: float = 1e-6

    def trainable(self) -> Mapping[str, nn.Parameter]:
        """The whole autoencoder, or the decoder with its first convolution."""
        learns = ("decoder.", "post_quant_conv.") if self.parts == "decoder" else ("",)
        chosen = {name: each for name, each in self.vae.named_parameters() if name.startswith(learns)}
        self.vae.requires_grad_(False)
        for each in chosen.values():
            each.requires_grad_(True)
        return chosen

    def loss(self, step: int) -> Tensor:
        """Reconstruction error of a batch of crops, and the KL divergence of their latents from unit noise."""
        indices = [index for _, index in chance.batch_of(len(self.pictures), self.batch, self.seed, step)]
        pixels = as_tensor([self._crop(self.pictures.picture(index), step, at) for at, index in enumerate(indices)])
        with torch.autocast("cpu", torch.bfloat16):
            mean, log_variance = self.vae.encode(pixels)
            noise = chance.normal(tuple(mean.shape), self.seed, "latent", step)
            decoded = self.vae.decode(sample(mean.float(), log_variance.float(), noise))
        error = self._error(decoded.float(), pixels)
        return error + self.kl * divergence(mean.float(), log_variance.float()) if self.parts == "all" else error

    def validation(self) -> float | None:
        """None: the reconstruction error of training falls with that of new pictures, drawn from the same world."""
        return None

    def _error(self, decoded: Tensor, pixels: Tensor) -> Tensor:
        return F.l1_loss(decoded, pixels) if self.kind == "l1" else F.mse_loss(decoded, pixels)

    def _crop(self, picture: Pixels, step: int, at: int) -> Pixels:
        rng = chance.generator(self.seed, "crop", step, at)
        top, left = (int(rng.integers(side - self.crop + 1)) for side in picture.shape[:2])
        return picture[top : top + self.crop, left : left + self.crop]


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL divergence from unit noise, summed over a latent and averaged over the batch."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=(1, 2, 3)).mean()
