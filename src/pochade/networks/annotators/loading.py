"""From files to the networks that make hints: which is which, and what tells one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from pochade import files
from pochade.errors import MalformedFileError
from pochade.files import Weights
from pochade.networks.annotators.anime_lines import AnimeLines
from pochade.networks.annotators.hed import HED
from pochade.networks.annotators.line_drawing import LineDrawing
from pochade.networks.annotators.mlsd import MLSD
from pochade.networks.annotators.pidinet import PiDiNet
from pochade.networks.annotators.pose_machine import BODY, PART, PoseMachine
from pochade.networks.depth import DepthModel
from pochade.networks.loading import load
from pochade.networks.shapes import Shapes
from pochade.preprocessors.learned import FILES


class Midas(DepthModel):
    """The depth estimator at the size of the picture that it is given."""

    def forward(self, pictures: Tensor) -> Tensor:
        """Pictures [B, 3, H, W] in 0..255 to inverse depth [B, 1, H, W], without a scale."""
        return self.estimate(pictures / 127.5 - 1)


@dataclass(frozen=True)
class Kind:
    """How a network is built, and the name of a tensor of its own with how many rows that has, which tells it."""

    build: Callable[[Shapes], nn.Module]
    mark: str
    rows: int | None = None


_SIDE = 64  # of the smallest picture
_part = partial(PoseMachine, layout=PART)

KINDS: Mapping[str, Kind] = {
    "hed": Kind(HED, "block1.convs.0.weight"),
    "pidinet": Kind(PiDiNet, "block1_1.conv1.weight"),
    **dict.fromkeys(("lineart", "lineart_coarse"), Kind(LineDrawing, "model2.0.conv_block.1.weight")),
    "lineart_anime": Kind(AnimeLines, "model.model.1.model.1.weight"),
    "midas": Kind(Midas, "pretrained.model.patch_embed.backbone.stem.conv.weight"),
    "mlsd": Kind(MLSD, "backbone.features.0.0.weight"),
    "body": Kind(partial(PoseMachine, layout=BODY), "Mconv7_stage6_L2.weight", 19),
    "hand": Kind(_part, "Mconv7_stage6.weight", 22),
    "face": Kind(_part, "Mconv7_stage6.weight", 71),
}
"""What can be loaded, by the names of `learned.FILES`."""


def load_annotator(kind: str, path: Path | str, device: torch.device) -> nn.Module:
    """The network of a kind in a file, in full precision.

    Raises MalformedFileError for a file that holds none of this kind.
    """
    weights = files.open(path)
    known = KINDS[kind]
    prefix = _prefix(weights, known)
    if prefix is None:
        problem = f"is not what this preprocessor looks with ('{known.mark}' is not there as it should)"
        raise MalformedFileError(path, f"{problem}; take {FILES[kind]}, or a copy of it.")
    network = load(known.build, weights, prefix, device, torch.float32)
    _check_layers(known, network, path)
    return network


@torch.no_grad()
def _check_layers(kind: Kind, network: nn.Module, path: Path | str) -> None:
    """Refuse layers that do not follow each other: a copy without numbers looks at a picture."""
    with torch.device("meta"):
        hollow = kind.build({name: tuple(each.shape) for name, each in network.state_dict().items()})
        try:
            hollow(torch.empty(1, 3, _SIDE, _SIDE))
        except RuntimeError as error:
            raise MalformedFileError(path, f"has layers that do not follow each other: {error}.") from error


def _prefix(weights: Weights, kind: Kind) -> str | None:
    """What stands before the network's own names in a file; None where it is not there."""
    for name in weights:
        start, found, end = name.rpartition(kind.mark)
        if found and not end and (not start or start.endswith(".")):
            return start if kind.rows in (None, *weights.info(name).shape[:1]) else None
    return None
