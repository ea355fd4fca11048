"""ControlNets and T2I-Adapters: networks that steer a UNet by a picture."""

from pochade.families import Shapes

ADAPTER = "t2i-adapter"
"""The form of T2I-Adapters."""

_MARKS = {"difference": "difference", "lora_controlnet": "lora"}
_ADAPTERS = (
    {"conv_in.weight", "body.0.block1.weight"},
    {"conv_in.weight", "body.0.resnets.0.block1.weight"},
    {"body.0.in_conv.weight", "body.0.out_conv.weight"},
)


def form(shapes: Shapes) -> str | None:
    """Return how a file holds its ControlNet if not whole: as `difference` to a UNet, or as `lora` on one.

    A T2I-Adapter is a form of its own.
    """
    if is_adapter(shapes):
        return ADAPTER
    return next((form for mark, form in _MARKS.items() if mark in shapes), None)


def is_adapter(shapes: Shapes) -> bool:
    """Tell whether these are the names of a T2I-Adapter, as the original has them or diffusers."""
    names = {name.removeprefix("adapter.") for name in shapes}
    return any(marks <= names for marks in _ADAPTERS)
