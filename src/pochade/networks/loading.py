"""From a checkpoint's Weights to networks: built on the meta device, then given the mapped tensors themselves."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from pochade import layouts
from pochade.errors import MalformedFileError
from pochade.families import Family, TextEncoder
from pochade.files import LazyArray, Weights
from pochade.files.dtypes import TORCH_DTYPES
from pochade.files.weights import BLOCK
from pochade.kinds import checkpoint
from pochade.layouts.packing import packed
from pochade.networks.clip import CLIPText
from pochade.networks.openclip import OpenCLIPText
from pochade.networks.shapes import Shape, Shapes
from pochade.networks.unet import UNet
from pochade.networks.vae import VAE

N = TypeVar("N", bound=nn.Module)
TextNetwork: TypeAlias = CLIPText | OpenCLIPText

_TEXT: dict[str, Callable[..., TextNetwork]] = {"clip": CLIPText, "openclip": OpenCLIPText}

# numpy has no name for these that torch would accept, so their bits travel as integers
_BITS = {"bfloat16": (np.int16, torch.bfloat16)} | {
    name: (np.int8, getattr(torch, name)) for name in ("float8_e4m3fn", "float8_e5m2")
}


@dataclass(frozen=True)
class Networks:
    """The networks of one model, on one device in one dtype; text encoders in the family's order."""

    unet: UNet
    vae: VAE
    text_encoders: tuple[TextNetwork, ...]


def networks_of(
    weights: Weights, family: Family, device: torch.device, dtype: torch.dtype, vae: VAE | None = None
) -> Networks:
    """The networks of a checkpoint, with another VAE in place of its own if given.

    A UNet that is there as moving average only is taken as such. Raises MalformedFileError when a part is missing or
    has foreign shapes.
    """
    if vae is None and not _names_below(weights, family.vae_prefix):
        problem = f"holds no VAE: nothing is below '{family.vae_prefix}'; give one of its own file (--vae FILE)."
        raise MalformedFileError(_file(weights), problem)
    branch = family.branch(weights.shapes())
    unet = partial(UNet, heads=(branch.heads if branch else None) or family.heads)
    return Networks(
        unet=load(unet, _with_live_unet(weights, family), family.unet_prefix, device, dtype),
        vae=vae or load(VAE, weights, family.vae_prefix, device, dtype),
        text_encoders=tuple(_load_text(weights, each, device, dtype) for each in family.encoders),
    )


def _load_text(weights: Weights, encoder: TextEncoder, device: torch.device, dtype: torch.dtype) -> TextNetwork:
    build = partial(_TEXT[encoder.layout], head_width=encoder.head_width, layers=encoder.layers)
    network: TextNetwork = load(build, _in_own_layout(weights, encoder), encoder.prefix, device, dtype)
    if encoder.pooled and "text_projection" not in network.state_dict():
        problem = f"lacks '{encoder.prefix}text_projection', so that no prompt can be summed up for its UNet."
        raise MalformedFileError(_file(weights), problem)
    return network


def _in_own_layout(weights: Weights, encoder: TextEncoder) -> Weights:
    """The text encoder in the original's names, where a file has it in diffusers'."""
    names = _names_below(weights, encoder.prefix)
    if encoder.layout != "openclip" or not any(name.startswith("text_model.") for name in names):
        return weights
    inner = Weights({name: weights.lazy(old) for name, old in names.items()})
    try:
        found = packed(inner, layouts.openclip.to_original(inner))
    except ValueError as error:
        raise MalformedFileError(_file(weights), f"has a broken text encoder: {error}") from error
    return Weights({encoder.prefix + name: found.lazy(name) for name in found}, path=weights.path)


def _with_live_unet(weights: Weights, family: Family) -> Weights:
    """The UNet under its own names, where a file has nothing but its moving averages."""
    if checkpoint.ema_state(weights) != "only":
        return weights
    start = family.ema_name(family.unet_prefix)
    averages = {name.removeprefix(start): weights.lazy(name) for name in weights if name.startswith(start)}
    try:
        live = {family.unet_prefix + layouts.unet.dotted(name): each for name, each in averages.items()}
    except ValueError as error:
        raise MalformedFileError(_file(weights), f"has moving averages of no UNet: {error}") from error
    return Weights(live, path=weights.path)


def load(build: Callable[[Shapes], N], weights: Weights, prefix: str, device: torch.device, dtype: torch.dtype) -> N:
    """One network from the tensors below `prefix`, without a copy where device and dtype are the file's own."""
    names = _names_below(weights, prefix)
    if not names:
        raise MalformedFileError(_file(weights), f"holds no {_title(build)}: nothing is below '{prefix}'.")
    shapes: dict[str, Shape] = {name: weights.info(full).shape for name, full in names.items()}
    try:
        with torch.device("meta"):
            network = build(shapes)
    except (KeyError, ValueError, IndexError) as error:
        problem = f"the tensors below '{prefix}' form no complete {_title(build)} ({error} is missing or odd)."
        raise MalformedFileError(_file(weights), problem) from error
    state = {name: _placed(weights.lazy(names[name]), device, dtype) for name in network.state_dict() if name in names}
    _assign(network, state, weights, prefix)
    return network.eval().requires_grad_(False)


def _placed(array: LazyArray, device: torch.device, dtype: torch.dtype) -> Tensor:
    """A file's tensor in its final place and precision; the file's own memory where nothing changes.

    What is converted is read block by block: pages of a mapped file would count as memory beside the result.
    """
    if device.type != "cpu" or TORCH_DTYPES.get(str(dtype).removeprefix("torch.")) == array.info.dtype:
        return tensor_of(array.load()).to(device, dtype)
    result = torch.empty(array.info.shape, dtype=dtype)
    target, done, buffer = result.view(-1), 0, torch.empty(min(BLOCK, array.info.size))
    halves = {array.info.dtype, TORCH_DTYPES[str(dtype).removeprefix("torch.")]} == {"F16", "BF16"}
    for block in array.blocks():
        piece = tensor_of(block)
        # torch has no fast path between the two halves: through float32, while in the cache, takes a fourth
        target[done : done + len(piece)] = buffer[: len(piece)].copy_(piece) if halves else piece
        done += len(piece)
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
    own = network.state_dict()
    if missing := [name for name in own if name not in state]:
        problem = f"{len(missing)} tensors are missing below '{prefix}', the first is '{missing[0]}'."
        raise MalformedFileError(_file(weights), problem)
    if odd := [name for name in own if state[name].shape != own[name].shape]:
        found, wanted = (list(each[odd[0]].shape) for each in (state, own))
        problem = f"its tensors do not fit together: '{prefix}{odd[0]}' is {found}, and the others want {wanted}."
        raise MalformedFileError(_file(weights), problem)
    network.load_state_dict(state, strict=True, assign=True)


def _file(weights: Weights) -> Path | str:
    return weights.path or "the weights"


def _title(build: object) -> str:
    return getattr(getattr(build, "func", build), "__name__", "network")
