"""Facts of model families, one file each. A new family is one new value and its name in FAMILIES."""

from pochade.families.family import Family, TextEncoder, Variant
from pochade.families.marks import Shapes, marks_of
from pochade.families.sd1 import SD1
from pochade.families.sd2 import SD2
from pochade.families.sdxl import SDXL, SDXL_REFINER

__all__ = ["FAMILIES", "SD1", "SD2", "SDXL", "SDXL_REFINER", "Family", "Shapes", "TextEncoder", "Variant", "recognise"]

FAMILIES = (SD1, SD2, SDXL, SDXL_REFINER)


def recognise(shapes: Shapes) -> Family | None:
    """Return the family of a file by its tensors' names and ranks.

    None where UNet and text encoder are of two families, and for parts that families share, such as a VAE.
    """
    marks = marks_of(shapes)
    by_text = [family for family in FAMILIES if family.has_text(shapes)]
    found = [
        family
        for family in FAMILIES
        if (marks is None or family.has_unet(marks)) and (not by_text or family in by_text)
    ]
    return found[0] if len(found) == 1 else None
