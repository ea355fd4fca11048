"""The noise table of a model: how much of the picture is left at each of its timesteps, and sigma <-> timestep."""

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

# Sabour et al., "Align Your Steps" (2024): the published ten-step optima.
ALIGNED_SD1 = (14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029)
ALIGNED_SDXL = (14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.380, 0.234, 0.113, 0.029)

_LAST_ALPHA = 4.8973451890853435e-08  # stands for the zero of a zero-terminal-SNR table


@dataclass(frozen=True, eq=False)
class NoiseTable:
    """Facts of the diffusion a model was trained on.

    `alphas` are the cumulative products of 1 - beta, one per timestep; `prediction` is `epsilon` or `v`; `aligned`
    are the eleven sigmas of the Align Your Steps schedule. `stride` > 1 is a table of every stride-th timestep.
    """

    alphas: Tensor
    prediction: str = "epsilon"
    aligned: tuple[float, ...] = ALIGNED_SD1
    quantize: bool = False
    stride: int = 1

    @classmethod
    def scaled_linear(
        cls, first: float = 0.00085, last: float = 0.012, prediction: str = "epsilon", steps: int = 1000
    ) -> "NoiseTable":
        """The table of all Stable Diffusion models: betas whose square roots are evenly spaced."""
        betas = torch.linspace(first**0.5, last**0.5, steps, dtype=torch.float64) ** 2
        return cls((1 - betas).cumprod(0).float(), prediction)

    @cached_property
    def sigmas(self) -> Tensor:
        """Noise to signal at every entry, rising, float32."""
        return (((1 - self.alphas) / self.alphas) ** 0.5).float()

    @cached_property
    def log_sigmas(self) -> Tensor:
        """Logarithms of the sigmas, in the precision of the alphas."""
        return (((1 - self.alphas) / self.alphas) ** 0.5).log().float()

    @property
    def lowest(self) -> float:
        """The smallest sigma."""
        return float(self.sigmas[0])

    @property
    def highest(self) -> float:
        """The largest sigma."""
        return float(self.sigmas[-1])

    def timestep(self, sigma: Tensor) -> Tensor:
        """The (fractional, unless quantized) timestep whose noise is `sigma`, a 0-d tensor."""
        log_sigma = sigma.log()
        entry = self._nearest(log_sigma) if self.quantize else self._between(log_sigma)
        return entry * self.stride + (self.stride - 1)

    def _nearest(self, log_sigma: Tensor) -> Tensor:
        """The number of the entry closest in log sigma."""
        return (log_sigma - self.log_sigmas).abs().argmin().float()

    def _between(self, log_sigma: Tensor) -> Tensor:
        """Linear interpolation of the entry number in log sigma, clamped to the table."""
        last = len(self.log_sigmas) - 1
        low = (torch.searchsorted(self.log_sigmas, log_sigma, right=True) - 1).clamp(0, last - 1)
        below, above = self.log_sigmas[low], self.log_sigmas[low + 1]
        share = ((below - log_sigma) / (below - above)).clamp(0, 1)
        return (1 - share) * low + share * (low + 1)

    def sigma(self, timestep: Tensor) -> Tensor:
        """The sigma at any (fractional) timesteps, interpolated in log sigma."""
        entry = ((timestep.float() - (self.stride - 1)) / self.stride).clamp(0, len(self.log_sigmas) - 1)
        share = entry.frac()
        below, above = self.log_sigmas[entry.floor().long()], self.log_sigmas[entry.ceil().long()]
        return ((1 - share) * below + share * above).exp()

    def quantized(self) -> "NoiseTable":
        """Every sigma rounds to the nearest whole timestep."""
        return replace(self, quantize=True)

    def downcast(self) -> "NoiseTable":
        """Alphas in half precision, as half-precision models had them before webui 1.7."""
        return replace(self, alphas=self.alphas.half())

    def zero_terminal_snr(self) -> "NoiseTable":
        """Rescaled so that the last timestep is pure noise (Lin et al., "Common diffusion noise schedules", 2023)."""
        roots = self.alphas.sqrt()
        roots = (roots - roots[-1]) * (roots[0] / (roots[0] - roots[-1]))
        alphas = roots**2
        alphas[-1] = _LAST_ALPHA
        return replace(self, alphas=alphas)

    def coarse(self, entries: int = 50) -> "NoiseTable":
        """Every n-th timestep only, as consistency models were distilled on."""
        stride = len(self.alphas) // entries
        return replace(self, alphas=self.alphas[stride - 1 :: stride].float(), stride=stride, quantize=True)
