"""Native training: the whole UNet and text encoder learn to predict the noise in latents."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pochade.families import SD1
from pochade.networks import CLIPText, UNet
from pochade.prompts import Tokenizer
from pochade.sampling.table import NoiseTable
from pochade.training import chance
from pochade.training.pictures import Pictures

_HELD_OUT = 64


@dataclass
class NativeTraining:
    """`latents` are the scaled latents of `pictures`, one row each; `dropout` is the share of empty captions.

    The squared error of the noise is weighted by min(SNR, snr_gamma) / SNR (Hang et al. 2023, arXiv:2303.09556), which
    keeps the many nearly clean timesteps from drowning those where the picture is composed; 0 switches that off.
    Without `text_learns` the text encoder stays as it is.
    """

    unet: UNet
    text_encoder: CLIPText
    latents: Tensor
    pictures: Pictures
    table: NoiseTable
    batch: int
    seed: int
    dropout: float = 0.1
    snr_gamma: float = 5.0
    text_learns: bool = True
    held_out: tuple[Tensor, Pictures] | None = None
    tokenizer: Tokenizer = field(default_factory=Tokenizer)

    def trainable(self) -> Mapping[str, nn.Parameter]:
        """Every parameter of the networks that learn, named as in a checkpoint."""
        self.unet.requires_grad_(True)
        self.text_encoder.requires_grad_(self.text_learns)
        return {name: each for name, each in named(self.unet, self.text_encoder).items() if each.requires_grad}

    def loss(self, step: int) -> Tensor:
        """Weighted error of the predicted noise over one batch."""
        places = chance.batch_of(len(self.pictures), self.batch, self.seed, step)
        clean = self.latents[[index for _, index in places]].float()
        times = torch.from_numpy(
            chance.generator(self.seed, "time", step).integers(len(self.table.alphas), size=self.batch)
        )
        noise = chance.normal(tuple(clean.shape), self.seed, "noise", step)
        return self._error(clean, [self._caption(*place) for place in places], times, noise)

    @torch.no_grad()
    def validation(self) -> float | None:
        """The same error on held-out pictures, with fixed noise at evenly spread timesteps."""
        if self.held_out is None:
            return None
        latents, pictures = self.held_out
        count = min(_HELD_OUT, len(pictures))
        captions = [pictures.caption(index, chance.generator(self.seed, "wording", index)) for index in range(count)]
        times = torch.linspace(0, len(self.table.alphas) - 1, count).long()
        noise = chance.normal(tuple(latents[:count].shape), self.seed, "validation")
        return float(self._error(latents[:count].float(), captions, times, noise))

    def _error(self, clean: Tensor, captions: list[str], times: Tensor, noise: Tensor) -> Tensor:
        alphas = self.table.alphas[times][:, None, None, None]
        noisy = alphas.sqrt() * clean + (1 - alphas).sqrt() * noise
        tokens = torch.tensor([self.tokenizer.padded(caption) for caption in captions])
        with torch.autocast("cpu", torch.bfloat16):
            predicted = self.unet(noisy, times, self.text_encoder(tokens))
        errors = F.mse_loss(predicted.float(), noise, reduction="none").mean(dim=(1, 2, 3))
        ratio = (alphas / (1 - alphas)).flatten()
        return (errors * (ratio.clamp(max=self.snr_gamma) / ratio if self.snr_gamma else 1.0)).mean()

    def _caption(self, epoch: int, index: int) -> str:
        rng = chance.generator(self.seed, "caption", epoch, index)
        return "" if rng.random() < self.dropout else self.pictures.caption(index, rng)


def named(unet: UNet, text_encoder: CLIPText) -> dict[str, nn.Parameter]:
    """The parameters of both networks by their names in a checkpoint."""
    parts = {SD1.unet_prefix: unet, SD1.encoders[0].prefix: text_encoder}
    return {f"{prefix}{name}": each for prefix, network in parts.items() for name, each in network.named_parameters()}
