"""Hypernetworks (Kurumuz 2022, NovelAI): small networks that change what keys and values of attention are made of.

They are named as in A1111's files: the width of a context, 0 for keys or 1 for values, and a layer's number.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from pochade.errors import MalformedFileError
from pochade.files import Weights
from pochade.kinds.hypernetwork import layers_of, manner_of
from pochade.networks.layers import layer_norm_of, linear_of
from pochade.networks.loading import load
from pochade.networks.shapes import Shapes, children, within
from pochade.networks.unet import Attention

_PLAIN = (
    *(nn.ReLU, nn.RReLU, nn.Hardtanh, nn.ReLU6, nn.Sigmoid, nn.Hardsigmoid, nn.Tanh, nn.SiLU, nn.Mish, nn.Hardswish),
    *(nn.ELU, nn.CELU, nn.SELU, nn.GELU, nn.Hardshrink, nn.LeakyReLU, nn.LogSigmoid, nn.Softplus, nn.Softshrink),
    *(nn.PReLU, nn.Softsign, nn.Tanhshrink),
)
# A1111 gives the softmaxes no axis, and of three torch then takes the first.
_BY_ROWS = {"softmax": nn.Softmax, "softmax2d": nn.Softmax, "softmin": nn.Softmin, "logsoftmax": nn.LogSoftmax}
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "linear": nn.Identity,
    "swish": nn.Hardswish,
    **{each.__name__.lower(): each for each in _PLAIN},
    **{name: partial(each, 0) for name, each in _BY_ROWS.items()},
}
"""By A1111's names, what may stand between two layers."""


class Hypernetwork(nn.ModuleDict):
    """Two networks, for keys and for values, by the width of the context that they change."""

    def __init__(self, shapes: Shapes, activation: str = "linear", activates_output: bool = False) -> None:
        super().__init__()
        for width in children(shapes):
            sides = within(shapes, f"{width}.")
            self[width] = nn.ModuleList(
                Side(within(sides, f"{side}.linear."), int(width), activation, activates_output) for side in (0, 1)
            )

    def forward(self, keys: Tensor, values: Tensor, strength: float = 1.0) -> tuple[Tensor, Tensor]:
        """What keys and what values are made of [B, S, D] each, changed; D is one of the widths."""
        for_keys, for_values = cast(nn.ModuleList, self[str(keys.shape[-1])])
        return for_keys(keys, strength), for_values(values, strength)


class Side(nn.Module):
    """One network: what it makes of a context is added to it."""

    def __init__(self, shapes: Shapes, width: int, activation: str, activates_output: bool) -> None:
        super().__init__()
        self.linear = nn.Sequential(*_layers(shapes, width, activation, activates_output))

    def forward(self, context: Tensor, strength: float) -> Tensor:
        """[B, S, D] to [B, S, D]."""
        changed: Tensor = context + self.linear(context) * strength
        return changed


def _layers(shapes: Shapes, width: int, activation: str, activates_output: bool) -> list[nn.Module]:
    """Layers by their numbers. Activations and dropouts have one too; dropouts are for training and do nothing here.

    Raises ValueError where sizes or numbers do not fit.
    """
    layers: list[nn.Module] = []
    here = width
    matrices = [index for index in children(shapes) if len(shapes[f"{index}.weight"]) == 2]
    for index in children(shapes):
        if int(index) == len(layers) - 1 and isinstance(layers[-1], nn.PReLU):
            continue  # an activation with a tensor of its own
        if not 0 <= int(index) - len(layers) <= 1:
            raise ValueError(f"linear.{index}")
        layers += [nn.Identity()] * (int(index) - len(layers))
        shape = shapes[f"{index}.weight"]
        if shape[-1] != here:
            raise ValueError(f"linear.{index}")
        layers.append(linear_of(shapes, index) if index in matrices else layer_norm_of(shapes, index))
        here = shape[0]
        if index in matrices and activation != "linear" and (index != matrices[-1] or activates_output):
            layers.append(ACTIVATIONS[activation]())
    if here != width or not matrices:
        raise ValueError(f"a last layer of width {width}")
    return layers


def load_hypernetwork(weights: Weights, device: torch.device, dtype: torch.dtype) -> Hypernetwork:
    """The hypernetwork of a file. Raises MalformedFileError for what is none."""
    manner, path = manner_of(weights), weights.path or "the hypernetwork"
    if manner.activation not in ACTIVATIONS:
        raise MalformedFileError(path, f"has the activation {manner.activation!r:.100}, which is not known here")
    build = partial(Hypernetwork, activation=manner.activation, activates_output=manner.activates_output)
    network = load(build, layers_of(weights), "", device, dtype)
    if not all(each.isfinite().all() for each in network.parameters()):
        raise MalformedFileError(path, f"holds NaN, infinity or numbers that are too large for {dtype}")
    return network


class Applied(NamedTuple):
    """A hypernetwork, and how strongly it acts."""

    network: Hypernetwork
    strength: float = 1.0


@contextmanager
def attached(unet: nn.Module, hypernetworks: Sequence[Applied]) -> Iterator[None]:
    """Within this context the attentions of a UNet go through hypernetworks, one after the other, where they fit."""
    places = attentions_of(unet) if hypernetworks else []
    try:
        for place in places:
            fitting = [each for each in hypernetworks if str(width_of(place)) in each.network]
            place.changes = tuple(partial(each.network, strength=each.strength) for each in fitting)
        yield
    finally:
        for place in places:
            place.changes = ()


def attentions_of(unet: nn.Module) -> list[Attention]:
    """Every attention of a UNet, to the picture and to the text."""
    return [each for each in unet.modules() if isinstance(each, Attention)]


def width_of(attention: Attention) -> int:
    """The width of the context that an attention looks at."""
    return attention.to_k.in_features
