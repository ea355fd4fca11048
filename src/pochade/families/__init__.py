"""Facts of model families, one file each. A new family is one new value and its name in FAMILIES."""

from pochade.families.family import Family, TextEncoder, Variant
from pochade.families.marks import Shapes, marks_of
from pochade.families.sd1 import SD1
from pochade.families.sd2 import SD2
from pochade.families.sdxl import SDXL, SDXL_REFINER

__all__ = [
    "FAMILIES", "SD1", "SD2", "SDXL", "SDXL_REFINER", "Family", "Shapes", "TextEncoder", "Variant", "recognise",
    "recognise_text",
]  # fmt: skip

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


def recognise_text(shapes: Shapes) -> Family | None:
    """Return the family of a text encoder alone, by its place in a checkpoint or by its width.

    None where several families have such a one; a refiner's is that of the model that it refines.
    """
    widths = {shape[-1] for name, shape in shapes.items() if name.endswith("token_embedding.weight") and shape}
    fitting = [family for family in FAMILIES if widths & {each.width for each in family.encoders}]
    alone = len({family.kohya_name for family in fitting}) == 1
    return recognise(shapes) or (fitting[0] if alone else None)
