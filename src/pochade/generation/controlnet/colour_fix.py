"""What the preprocessors "tile_colorfix" do at each step: the picture keeps the colours of its hint, whatever is drawn.

Colours are what is left when a picture is blurred.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from pochade.sampling import NoiseTable

_SHARPNESS_UNIT = 0.01  # of the blurred picture, that is taken from the picture without the prompt


@dataclass(frozen=True, eq=False)
class ColourFix:
    """Latents [1, 4, h, w] with the right colours, over how many of them around colours are taken, and how strongly."""

    original: Tensor
    reach: int = 8
    sharpness: float = 0.0
    weight: float = 1.0

    def fixed(
        self, output: Tensor, latents: Tensor, timesteps: Tensor, prompted: Sequence[bool], table: NoiseTable
    ) -> Tensor:
        """What a UNet predicts for noisy latents [B, 4, h, w], so changed that they become a picture of these colours.

        Rows with the prompt are told from those without, which `sharpness` makes soft, so that guidance leads away.
        """
        sigma = table.sigma(timesteps.cpu()).to(latents).view(-1, 1, 1, 1)
        clean = recoloured(_clean(output, latents, sigma, table.prediction), self.original.to(latents), self.reach)
        soft = torch.lerp(clean, blurred(clean, self.reach), _SHARPNESS_UNIT * self.sharpness)
        has_prompt = torch.tensor(prompted, device=latents.device).view(-1, 1, 1, 1)
        wanted = _output(torch.where(has_prompt, clean, soft), latents, sigma, table.prediction)
        return torch.lerp(output, wanted, min(self.weight, 1.0))


def _clean(output: Tensor, latents: Tensor, sigma: Tensor, prediction: str) -> Tensor:
    """The picture in latents that an output means; latents are the picture and sigma times noise, of unit variance."""
    spread = (sigma**2 + 1) ** 0.5
    return latents / spread - output * sigma / spread if prediction == "v" else latents * spread - output * sigma


def _output(clean: Tensor, latents: Tensor, sigma: Tensor, prediction: str) -> Tensor:
    """The output that means this picture."""
    spread = (sigma**2 + 1) ** 0.5
    return (latents - clean * spread) / sigma if prediction == "v" else (latents * spread - clean) / sigma


def recoloured(clean: Tensor, original: Tensor, reach: int) -> Tensor:
    """Latents [B, 4, h, w] of a picture with the colours of the original."""
    return clean - blurred(clean, reach) + blurred(original, reach)


def blurred(x: Tensor, reach: int) -> Tensor:
    """Each pixel averaged with all that are `reach` or fewer away, [B, C, h, w]."""
    return F.avg_pool2d(F.pad(x, (reach, reach, reach, reach), mode="replicate"), 2 * reach + 1, stride=1)
