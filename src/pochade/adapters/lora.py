"""LoRA (Hu et al. 2021, arXiv:2106.09685), LoCon on convolutions, with a Tucker core or without; DyLoRA in files."""

from typing import Any

from pochade.adapters.algorithm import Algorithm, Parts, Shape, mixed, product, scale_of


def inner(parts: Parts) -> Any:
    """Return down [rank, in, ...]; a Tucker core [rank, in rank, ...] is multiplied into it."""
    down = parts["lora_down.weight"]
    if "lora_mid.weight" not in parts:
        return down
    return mixed(parts["lora_mid.weight"], down.reshape(down.shape[0], -1))


def scale(parts: Parts) -> float:
    """Return by how much up x down counts."""
    return scale_of(parts, parts["lora_down.weight"].shape[0])


def truncated(parts: Parts, rank: int) -> Parts:
    """Return the parts with their first ranks alone, as DyLoRA means it, each counting as before.

    A Tucker core has no first ranks; parts with one stay as they are.
    """
    if "lora_down.weight" not in parts or "lora_mid.weight" in parts:
        return parts
    up, down = parts["lora_up.weight"][:, :rank], parts["lora_down.weight"][:rank]
    return {**parts, "lora_up.weight": up, "lora_down.weight": down, "alpha": scale(parts) * len(down)}


def _delta(_weight: Any, parts: Parts, strength: float) -> Any:
    return product(parts["lora_up.weight"] * (scale(parts) * strength), inner(parts))  # up is small: quickly scaled


def _shape(parts: Parts, _kernel: Shape) -> Shape:
    down = parts["lora_down.weight"].shape
    kernel = parts["lora_mid.weight"].shape[2:] if "lora_mid.weight" in parts else down[2:]
    return (parts["lora_up.weight"].shape[0], down[1], *kernel)


LORA = Algorithm("lora", ("lora_down.weight",), _delta, _shape, lambda _: ("lora_up.weight",))
