"""Textual inversion: vectors that stand for a word."""

from pochade.families import FAMILIES, Family, Shapes


def family_of(shapes: Shapes) -> Family | None:
    """Return the family whose text encoders have vectors of these widths."""
    widths = {shape[-1] for shape in shapes.values() if shape}
    return next((family for family in FAMILIES if widths == {each.width for each in family.encoders}), None)


def is_token(name: str) -> bool:
    """Tell whether a tensor is named by the token that it stands for, as diffusers does it."""
    return name[:1] + name[-1:] == "<>"
