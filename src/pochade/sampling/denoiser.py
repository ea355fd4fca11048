"""From what a network predicts (noise or velocity) to what samplers ask for: the clean picture, or the noise."""

from collections.abc import Callable

from torch import Tensor

from pochade.errors import UnknownNameError
from pochade.sampling.guidance import Guide
from pochade.sampling.signatures import Denoise, Epsilon, EpsilonPair
from pochade.sampling.table import NoiseTable

_SIGMA_DATA = 0.5  # consistency models: spread of the data
_TIMESTEP_SCALE = 10.0  # consistency models: how fast the boundary condition fades


def _clean_from_noise(x: Tensor, output: Tensor, sigma: Tensor) -> Tensor:
    return x - output * sigma


def _clean_from_velocity(x: Tensor, output: Tensor, sigma: Tensor) -> Tensor:
    spread = sigma**2 + 1
    return x / spread - output * (sigma / spread**0.5)


def _noise_from_noise(x: Tensor, output: Tensor, alpha: Tensor) -> Tensor:
    return output


def _noise_from_velocity(x: Tensor, output: Tensor, alpha: Tensor) -> Tensor:
    return output * alpha.sqrt() + x * (1 - alpha).sqrt()


def _velocity_from_noise(x: Tensor, output: Tensor, alpha: Tensor) -> Tensor:
    return (output - (1 - alpha).sqrt() * x) / alpha.sqrt()


Convert = Callable[[Tensor, Tensor, Tensor], Tensor]
_CLEAN: dict[str, Convert] = {"epsilon": _clean_from_noise, "v": _clean_from_velocity}
_NOISE: dict[str, Convert] = {"epsilon": _noise_from_noise, "v": _noise_from_velocity}


def _conversion(kinds: dict[str, Convert], prediction: str) -> Convert:
    if prediction not in kinds:
        raise UnknownNameError("prediction type", prediction, kinds)
    return kinds[prediction]


def translated(x: Tensor, output: Tensor, timesteps: Tensor, found: NoiseTable, wanted: NoiseTable) -> Tensor:
    """What a model that predicts as `found` says predicts, as one that predicts as `wanted` would have said it.

    `x` [N,C,h,w] is what it was shown, in variance-preserving scale, at `timesteps` [N].
    """
    if found.prediction == wanted.prediction:
        return output
    alpha = (1 / (1 + found.sigma(timesteps.cpu()) ** 2)).to(x).reshape(-1, 1, 1, 1)
    noise = _conversion(_NOISE, found.prediction)(x, output, alpha)
    return noise if wanted.prediction == "epsilon" else _velocity_from_noise(x, noise, alpha)


def denoiser(guide: Guide, table: NoiseTable) -> Denoise:
    """The guided model as D(x, sigma), for samplers that live in sigma space (x = clean + sigma * noise)."""
    clean = _conversion(_CLEAN, table.prediction)

    def denoise(x: Tensor, sigma: Tensor) -> Tensor:
        scale = 1 / (sigma**2 + 1) ** 0.5
        guided = guide(x * scale, table.timestep(sigma), sigma)
        return clean(x, guided.output, sigma)

    return denoise


def consistency_denoiser(guide: Guide, table: NoiseTable) -> Denoise:
    """D(x, sigma) of a latent consistency model: pinned to x itself as the timestep goes to zero."""
    plain = denoiser(guide, table)

    def denoise(x: Tensor, sigma: Tensor) -> Tensor:
        scaled = table.timestep(sigma) * _TIMESTEP_SCALE
        spread = scaled**2 + _SIGMA_DATA**2
        return plain(x, sigma) * (scaled / spread**0.5) + x * (_SIGMA_DATA**2 / spread)

    return denoise


def epsilon_pair(guide: Guide, table: NoiseTable) -> EpsilonPair:
    """The guided and the unconditional noise at a timestep, for samplers in variance-preserving space."""
    noise = _conversion(_NOISE, table.prediction)

    def epsilons(x: Tensor, timestep: Tensor) -> tuple[Tensor, Tensor]:
        guided = guide(x, timestep, timestep)
        alpha = table.alphas[int(timestep)]
        return noise(x, guided.output, alpha), noise(x, guided.uncond, alpha)

    return epsilons


def epsilon(guide: Guide, table: NoiseTable) -> Epsilon:
    """The guided noise at a timestep, for samplers in variance-preserving space."""
    pair = epsilon_pair(guide, table)
    return lambda x, timestep: pair(x, timestep)[0]
