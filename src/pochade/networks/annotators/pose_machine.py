"""Bodies, hands and faces as points: convolutional pose machines (Wei et al. 2016, arXiv:1602.00134; for several
bodies Cao et al. 2018, arXiv:1812.08008).

After what all stages look at, each stage tells for every place how surely a point is there; the next one sees that too.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pochade.networks.layers import conv_of
from pochade.networks.shapes import Shapes

_STAGES = range(2, 7)  # those after the first
_HALVED_AFTER = ("conv1_2", "conv2_2", "conv3_4")
_EYES = (
    *("conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1", "conv3_2", "conv3_3", "conv3_4"),
    *("conv4_1", "conv4_2"),
)


@dataclass(frozen=True)
class Layout:
    """The names of the convolutions that all stages look at, of the first stage's, and the ends of those of branches.

    `clipped` tells that the last branch ends with an activation.
    """

    trunk: tuple[str, ...]
    first: tuple[str, ...]
    branches: tuple[str, ...] = ("",)
    clipped: bool = False

    def stages(self, branch: str) -> list[list[str]]:
        """The names of each stage's convolutions."""
        later = [[f"Mconv{number}_stage{stage}{branch}" for number in range(1, 8)] for stage in _STAGES]
        return [[name + branch for name in self.first], *later]


BODY = Layout(
    trunk=(*_EYES, "conv4_3_CPM", "conv4_4_CPM"),
    first=tuple(f"conv5_{number}_CPM" for number in range(1, 6)),
    branches=("_L1", "_L2"),
    clipped=True,  # the published weights have always been used so
)
"""Fields that lead along limbs, then how surely joints are there."""

PART = Layout(
    trunk=(*_EYES, "conv4_3", "conv4_4", "conv5_1", "conv5_2", "conv5_3_CPM"), first=("conv6_1_CPM", "conv6_2_CPM")
)
"""A hand or a face."""


class PoseMachine(nn.Module):
    """The network of a layout."""

    def __init__(self, shapes: Shapes, layout: Layout) -> None:
        super().__init__()
        self.layout = layout
        self.branches = [layout.stages(branch) for branch in layout.branches]
        for name in (*layout.trunk, *(name for stages in self.branches for stage in stages for name in stage)):
            self.add_module(name, conv_of(shapes, name))

    def forward(self, pictures: Tensor) -> Tensor:
        """Pictures [B, 3, H, W] in 0..255 to all branches' maps, [B, C, H / 8, W / 8]."""
        x = pictures.flip(1) / 256 - 0.5  # it was trained on blue, green, red
        for name in self.layout.trunk:
            x = F.relu(self.get_submodule(name)(x))
            x = F.max_pool2d(x, 2) if name in _HALVED_AFTER else x
        seen = x
        for stages in zip(*self.branches, strict=True):
            found = [self._through(stage, seen) for stage in stages]
            seen = torch.cat([*found, x], dim=1)
        return torch.cat([*found[:-1], found[-1].relu() if self.layout.clipped else found[-1]], dim=1)

    def _through(self, stage: list[str], x: Tensor) -> Tensor:
        """Convolutions with activations between."""
        *names, last = stage
        for name in names:
            x = F.relu(self.get_submodule(name)(x))
        result: Tensor = self.get_submodule(last)(x)
        return result
