"""A model simple enough to write down: its clean pictures are known in closed form."""

import torch

from pochade.sampling import NoiseTable
from pochade.sampling.philox import Philox

SHAPE = (1, 4, 4, 4)
TABLE = NoiseTable.scaled_linear()


def drawn(seed):
    return torch.from_numpy(Philox(seed).randn(SHAPE))


class Toy:
    """The recorded toy: counts model calls and noise draws."""

    def __init__(self):
        self.target = drawn(321) * 0.5
        self.calls = 0
        self.draws = 0
        self._stream = Philox(7)

    def denoise(self, x, sigma):
        self.calls += 1
        clean = (x * 0.25 + self.target * sigma**2) / (0.25 + sigma**2)
        return clean + 0.05 * torch.sin(x / (1 + sigma))

    def epsilon(self, x, timestep):
        alpha = TABLE.alphas[int(timestep)]
        clean = self.denoise(x / alpha.sqrt(), ((1 - alpha) / alpha).sqrt())
        return (x - alpha.sqrt() * clean) / (1 - alpha).sqrt()

    def epsilons(self, x, timestep):
        guided = self.epsilon(x, timestep)
        return guided, 0.9 * guided

    def noise(self, here, there):
        self.draws += 1
        return torch.from_numpy(self._stream.randn(SHAPE))
