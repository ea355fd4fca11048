"""ControlNets from files: whole ones, and those that hold only how they differ from the UNet they are put on."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import prod
from pathlib import Path
from typing import NoReturn

import torch
from torch import Tensor

from pochade import kinds, layouts
from pochade.errors import MalformedFileError, shown
from pochade.families import Family, recognise
from pochade.files import LazyArray, TensorInfo, Weights
from pochade.kinds.controlnet import form
from pochade.networks.controlnet import HALF, ControlNet
from pochade.networks.loading import array_of, load, tensor_of
from pochade.networks.unet import UNet

_PREFIX = "control_model."
_MARKERS = ("difference", "lora_controlnet")
_FIRST = "input_blocks.0.0.weight"
_DOWN, _UP = ".down", ".up"


def load_controlnet(
    source: Path | str | Weights, family: Family, unet: UNet, device: torch.device, dtype: torch.dtype
) -> ControlNet:
    """The ControlNet of a file or a diffusers folder, for a model of a family with this UNet.

    A file may hold it whole, as the difference to the UNet, or as low-rank matrices on the UNet (control-LoRA); the
    last two become whole here, so the UNet must not have LoRAs put on at that time.
    Raises MalformedFileError for what is no ControlNet, or one for other models.
    """
    weights = source if isinstance(source, Weights) else kinds.open_model(source)
    own = _alone(weights)
    base = _half_of(unet, family)
    _check_blocks(own, family, unet)
    if form(weights.shapes()) == "lora":
        own = _from_low_rank(own, base, family)
    else:
        _check_shapes(own, base, family)
        own = _from_difference(own, base) if form(weights.shapes()) else own
    network = load(partial(ControlNet, heads=family.heads), own, "", device, dtype)
    if foreign := own.shapes().keys() - network.state_dict().keys():
        problem = f"holds '{shown(min(foreign))}', for which a ControlNet has no place: it is of a make not known here."
        raise MalformedFileError(_name(own), problem)
    return network


def _alone(weights: Weights) -> Weights:
    """The tensors of the ControlNet alone, in the original's names without a prefix."""
    kind = kinds.recognise(weights.shapes())
    if kind != "controlnet":
        raise MalformedFileError(_name(weights), f"is no ControlNet ({kind}); `pochade inspect` tells what it is.")
    names = {name.removeprefix(_PREFIX): name for name in weights if name.startswith(_PREFIX)}
    names = names or {name: name for name in weights}
    new = layouts.controlnet.to_original(names)
    tensors = {new[name]: weights.lazy(old) for name, old in names.items() if name not in _MARKERS}
    return Weights(tensors, path=weights.path)


def _half_of(unet: UNet, family: Family) -> dict[str, Tensor]:
    """What a ControlNet has a copy of; of the first convolution only what looks at the latents."""
    half = {name: tensor for name, tensor in unet.state_dict().items() if name.startswith(HALF)}
    return half | {_FIRST: half[_FIRST][:, : family.latent_channels]}


def _check_blocks(own: Weights, family: Family, unet: UNet) -> None:
    outlets = {name.split(".")[1] for name in own if name.startswith("zero_convs.")}
    wanted = len(unet.input_blocks)
    if len(outlets) != wanted:
        _refuse(own, family, f"it has {len(outlets)} outlets, the model's UNet wants {wanted}")


def _check_shapes(own: Weights, base: Mapping[str, Tensor], family: Family) -> None:
    for name, shape in own.shapes().items():
        if name in base and tuple(base[name].shape) != shape:
            _refuse(own, family, _unlike(name, shape, base[name]))


def _unlike(name: str, shape: tuple[int, ...], base: Tensor) -> str:
    return f"its '{shown(name)}' is {list(shape)}, the model's is {list(base.shape)}"


def _refuse(own: Weights, family: Family, problem: str) -> NoReturn:
    """Say that the ControlNet is for other models; by name where its family is known, else by what does not fit."""
    found = recognise(own.shapes())
    if found and found is not family:
        problem = f"is a ControlNet for {found.title}, and the model is {family.title}; take one made for that."
    else:
        problem = f"does not fit the model, which is {family.title}: {problem}; take a ControlNet made for that."
    raise MalformedFileError(_name(own), problem)


def _from_difference(own: Weights, base: Mapping[str, Tensor]) -> Weights:
    """What was trained, added to the UNet's own weights; hint and outlets are whole."""
    tensors = {
        name: _sum(base[name], partial(_on, base[name], own.lazy(name))) if name in base else own.lazy(name)
        for name in own
    }
    return Weights(tensors, path=own.path)


def _from_low_rank(own: Weights, base: Mapping[str, Tensor], family: Family) -> Weights:
    """The UNet's weights, with up x down added where the file has both, and what it has whole in their place."""
    tensors = {name: _computed(tensor.shape, tensor.float) for name, tensor in base.items()}
    tensors |= {name: own.lazy(name) for name in own if not name.endswith((_DOWN, _UP))}
    for name in own:
        if name.endswith(_DOWN):
            module = name.removesuffix(_DOWN)
            tensors[f"{module}.weight"] = _low_rank_sum(own, module, base, family)
    return Weights(tensors, path=own.path)


def _low_rank_sum(own: Weights, module: str, base: Mapping[str, Tensor], family: Family) -> LazyArray:
    weight = base.get(f"{module}.weight")
    if weight is None or module + _UP not in own:
        _refuse(own, family, f"its '{shown(module + _DOWN)}' has no counterpart")
    down, up = own.lazy(module + _DOWN), own.lazy(module + _UP)
    (rank, *inner), (rows, *columns) = down.info.shape or (0,), up.info.shape or (0,)
    if (rows, prod(inner), prod(columns)) != (weight.shape[0], prod(weight.shape[1:]), rank):
        _refuse(own, family, _unlike(module, (rows, *inner), weight))
    return _sum(weight, lambda: _on(weight, up).flatten(1) @ _on(weight, down).flatten(1))


def _sum(base: Tensor, delta: Callable[[], Tensor]) -> LazyArray:
    return _computed(base.shape, lambda: base.float() + delta().reshape(base.shape))


def _computed(shape: Sequence[int], compute: Callable[[], Tensor]) -> LazyArray:
    """A tensor in float32 that is computed when it is asked for."""
    return LazyArray(TensorInfo("F32", tuple(shape)), lambda: array_of(compute()))


def _on(like: Tensor, array: LazyArray) -> Tensor:
    return tensor_of(array.load()).to(like.device, torch.float32)


def _name(weights: Weights) -> Path | str:
    return weights.path or "the weights"
