"""Hypernetworks: small networks on the keys and values of attention, named by the width they work on."""

from pochade.families import FAMILIES, Family, Shapes

_OF_PICTURES = {"320", "640", "1280"}


def family_of(shapes: Shapes) -> Family | None:
    """Return the family whose text has one of the widths; those of the picture are common to several families."""
    widths = {name.partition(".")[0] for name in shapes} - _OF_PICTURES
    return next((family for family in FAMILIES if str(family.context_width) in widths), None)
