"""ControlNets: networks that steer a UNet by a picture."""

from pochade.families import Shapes

_MARKS = {"difference": "difference", "lora_controlnet": "lora"}


def form(shapes: Shapes) -> str | None:
    """Return how a file holds its ControlNet if not whole: as `difference` to a UNet, or as `lora` on one."""
    return next((form for mark, form in _MARKS.items() if mark in shapes), None)
