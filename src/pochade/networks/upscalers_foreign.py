"""Upscalers of other kinds (SwinIR, DAT, HAT...) by way of spandrel, an optional package that knows many."""

from importlib import import_module
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from pochade import kinds
from pochade.errors import MalformedFileError
from pochade.files import Weights
from pochade.networks.loading import tensor_of

_HALVES = {torch.float16: "supports_half", torch.bfloat16: "supports_bfloat16"}


class ForeignUpscaler(nn.Module):
    """A network as spandrel describes it; the description brings pictures to the sizes that it can take."""

    def __init__(self, description: Any) -> None:
        super().__init__()
        self.network: nn.Module = description.model
        self.scale = int(description.scale)
        self.channels = int(description.input_channels)
        self._run = description

    def forward(self, x: Tensor) -> Tensor:
        """[B, 3, H, W] in 0..1 to [B, 3, scale * H, scale * W]."""
        result: Tensor = self._run(x)
        return result


def load_foreign(weights: Weights, device: torch.device, dtype: torch.dtype) -> ForeignUpscaler:
    """The upscaler of a file that only spandrel knows, in full precision where it cannot take less.

    Raises MalformedFileError when spandrel is not there, or does not know it either.
    """
    spandrel = _spandrel(weights)
    state = {name: tensor_of(weights[name]) for name in weights}
    try:
        description = spandrel.ModelLoader(device="cpu").load_from_state_dict(state)
    except (spandrel.UnsupportedModelError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise _unknown(weights, "spandrel does not know it either") from error
    if not isinstance(description, spandrel.ImageModelDescriptor):
        raise _unknown(weights, "spandrel says that it needs more than a picture")
    can = dtype not in _HALVES or getattr(description, _HALVES[dtype])
    return ForeignUpscaler(description.to(device, dtype if can else torch.float32).eval())


def _spandrel(weights: Weights) -> ModuleType:
    """The package. It cannot be imported without torchvision, nor with one that is made for another torch."""
    try:
        return import_module("spandrel")
    except (ImportError, RuntimeError) as error:
        advice = "for others install spandrel, pip install 'pochade[upscalers]'"
        raise _unknown(weights, f"{advice} ({error})") from error


def _unknown(weights: Weights, what: str) -> MalformedFileError:
    kind = kinds.recognise(weights.shapes())
    is_other = kind not in ("upscaler", "unknown")
    found = f"this is a {kind}, no upscaler" if is_other else f"this is no upscaler of ESRGAN's kind; {what}"
    return MalformedFileError(weights.path or "the weights", f"{found}.")
