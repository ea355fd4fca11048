"""LoRA (Hu et al. 2021, arXiv:2106.09685), LoCon on convolutions, with a Tucker core or without; DyLoRA in files."""

from typing import Any

from pochade.adapters.algorithm import Algorithm, Parts, product, scale_of, tucker


def low_rank(parts: Parts) -> Any:
    """Return up x down, scaled."""
    up, down = parts["lora_up.weight"], parts["lora_down.weight"]
    scale = scale_of(parts, down.shape[0])
    if "lora_mid.weight" in parts:
        return tucker(parts["lora_mid.weight"], up, down) * scale
    return product(up, down) * scale


def _delta(_weight: Any, parts: Parts, strength: float) -> Any:
    return low_rank(parts) * strength


LORA = Algorithm("lora", ("lora_down.weight",), _delta)
