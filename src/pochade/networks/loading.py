"""From a checkpoint's Weights to networks: built on the meta device, then given the mapped tensors themselves."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from pochade import layouts
from pochade.errors import MalformedFileError
from pochade.families import Family
from pochade.files import Weights
from pochade.networks.clip import CLIPText
from pochade.networks.shapes import Shape, Shapes
from pochade.networks.unet import UNet
from pochade.networks.vae import VAE

N = TypeVar("N", bound=nn.Module)
_PIECE = 1 << 18  # numbers converted at a time

# numpy has no name for these that torch would accept, so their bits travel as integers
_BITS = {"bfloat16": (np.int16, torch.bfloat16)} | {
    name: (np.int8, getattr(torch, name)) for name in ("float8_e4m3fn", "float8_e5m2")
}


@dataclass(frozen=True)
class Networks:
    """The three networks of one model, on one device in one dtype."""

    unet: UNet
    vae: VAE
    text_encoder: CLIPText


def networks_of(
    weights: Weights, family: Family, device: torch.device, dtype: torch.dtype, vae: VAE | None = None
) -> Networks:
    """The networks of a checkpoint, with another VAE in place of its own if given.

    Raises MalformedFileError when a part is missing or has foreign shapes.
    """
    encoder = family.encoders[0]
    if len(family.encoders) > 1 or encoder.layout != "clip":
        raise MalformedFileError(
            weights.path or "the weights", f"is a {family.title} model; pictures are drawn with SD 1.x so far."
        )
    text_encoder = partial(CLIPText, head_width=encoder.head_width)
    return Networks(
        unet=load(partial(UNet, heads=family.heads), weights, family.unet_prefix, device, dtype),
        vae=vae or load(VAE, weights, family.vae_prefix, device, dtype),
        text_encoder=load(text_encoder, weights, encoder.prefix, device, dtype),
    )


def load(build: Callable[[Shapes], N], weights: Weights, prefix: str, device: torch.device, dtype: torch.dtype) -> N:
    """One network from the tensors below `prefix`, without a copy where device and dtype are the file's own."""
    names = _names_below(weights, prefix)
    if not names:
        raise MalformedFileError(
            weights.path or "the weights", f"holds no {_title(build)}: nothing is below '{prefix}'."
        )
    shapes: dict[str, Shape] = {name: weights.info(full).shape for name, full in names.items()}
    try:
        with torch.device("meta"):
            network = build(shapes)
    except (KeyError, ValueError, IndexError) as error:
        raise MalformedFileError(
            weights.path or "the weights",
            f"the tensors below '{prefix}' form no complete {_title(build)} ({error} is missing or odd).",
        ) from error
    state = {
        name: _moved(tensor_of(weights[names[name]]), device, dtype) for name in network.state_dict() if name in names
    }
    _assign(network, state, weights, prefix)
    return network.eval().requires_grad_(False)


def _moved(tensor: Tensor, device: torch.device, dtype: torch.dtype) -> Tensor:
    """The tensor in its final place and precision; itself where nothing changes."""
    if device.type != "cpu" or (tensor.dtype, dtype) != (torch.float16, torch.bfloat16):
        return tensor.to(device, dtype)
    # torch has no fast path between the two halves: through float32, in pieces that stay in the cache, takes a fourth
    result = torch.empty(tensor.shape, dtype=dtype)
    source, target, buffer = tensor.reshape(-1), result.view(-1), torch.empty(min(_PIECE, tensor.numel()))
    for start in range(0, len(source), _PIECE):
        piece = source[start : start + _PIECE]
        target[start : start + _PIECE] = buffer[: len(piece)].copy_(piece)
    return result


def tensor_of(array: np.ndarray) -> Tensor:
    """A torch tensor that shares the array's memory."""
    if array.dtype.name in _BITS:
        carrier, dtype = _BITS[array.dtype.name]
        return torch.from_numpy(array.view(carrier)).view(dtype)
    return torch.from_numpy(array)


def array_of(tensor: Tensor) -> np.ndarray:
    """A numpy array that shares the tensor's memory (ml_dtypes for bfloat16 and float8)."""
    import ml_dtypes

    tensor = tensor.detach().contiguous().cpu()
    name = str(tensor.dtype).removeprefix("torch.")
    if name in _BITS:
        carrier = torch.int16 if tensor.element_size() == 2 else torch.int8
        return tensor.view(carrier).numpy().view(getattr(ml_dtypes, name))
    return tensor.numpy()


def _names_below(weights: Weights, prefix: str) -> dict[str, str]:
    """Network name -> file name. Files of NovelAI's kind lack the `text_model.` of the text encoder's names; merges
    with such files may hold both, and then the full names count.
    """
    names = {name.removeprefix(prefix): name for name in weights if name.startswith(prefix)}
    if any(name.startswith("embeddings.") for name in names):
        names = {new: names[old] for old, new in layouts.text.to_diffusers(names).items() if new not in names} | names
    return names


def _assign(network: nn.Module, state: Mapping[str, Tensor], weights: Weights, prefix: str) -> None:
    missing = [name for name in network.state_dict() if name not in state]
    if missing:
        raise MalformedFileError(
            weights.path or "the weights",
            f"{len(missing)} tensors are missing below '{prefix}', the first is '{missing[0]}'.",
        )
    try:
        network.load_state_dict(state, strict=True, assign=True)
    except RuntimeError as error:
        raise MalformedFileError(
            weights.path or "the weights", f"tensors below '{prefix}' do not fit together: {error}"
        ) from error


def _title(build: object) -> str:
    return getattr(getattr(build, "func", build), "__name__", "network")
