"""Facts of model families, one file each. A new family is one new file and its name in FAMILIES."""

from pochade.families.family import Family, Shapes
from pochade.families.sd1 import SD1

__all__ = ["FAMILIES", "SD1", "Family", "Shapes", "recognise"]

FAMILIES = (SD1,)


def recognise(shapes: Shapes) -> Family | None:
    """Return the family of a file by its tensors' names and ranks, or None."""
    return next((family for family in FAMILIES if family.recognises(shapes)), None)
