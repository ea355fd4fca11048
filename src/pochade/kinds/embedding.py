"""Textual inversion: vectors that stand for a word."""

from pochade.families import FAMILIES, Family, Shapes


def family_of(shapes: Shapes) -> Family | None:
    """Return the family whose text encoder has vectors of this width; one vector for each of two encoders fits none."""
    widths = {shape[-1] for shape in shapes.values() if shape}
    return next((family for family in FAMILIES if widths == {family.context_width}), None)
