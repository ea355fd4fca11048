"""Networks to be trained from nothing: shapes in, seeded random weights out."""

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import nn

from pochade.networks.shapes import Shapes

N = TypeVar("N", bound=nn.Module)

# these close a residual branch: at zero the network begins as the identity
_SILENT = ("out_layers.3.weight", "proj_out.weight", "out.2.weight", "conv2.weight")
# log-variance of a new autoencoder's latents: at torch's usual start their noise would drown the picture for long
_NARROW = -8.0


def fresh(build: Callable[[Shapes], N], shapes: Shapes, seed: int) -> N:
    """A network with LeCun's normal weights, zero biases, closed residual branches, narrow embeddings and latents."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build(shapes)
        for name, parameter in network.named_parameters():
            _begin(name, parameter)
    return network


def _begin(name: str, parameter: nn.Parameter) -> None:
    if name == "quant_conv.bias":
        nn.init.zeros_(parameter)
        nn.init.constant_(parameter[len(parameter) // 2 :], _NARROW)
    elif name.endswith((".bias", *_SILENT)):
        nn.init.zeros_(parameter)
    elif "embedding" in name:
        nn.init.normal_(parameter, std=0.02)
    elif parameter.ndim > 1:
        nn.init.normal_(parameter, std=parameter[0].numel() ** -0.5)
