"""The light verbs on files. Listing and moving bytes never load torch."""

from pochade.operations.convert import Conversion, convert, converting
from pochade.operations.inspect import inspect
from pochade.operations.merge import Merge, merging
from pochade.operations.recipes import merge
from pochade.operations.resize import Size, resize, resizing

__all__ = [
    "Conversion",
    "Merge",
    "Size",
    "convert",
    "converting",
    "inspect",
    "merge",
    "merging",
    "resize",
    "resizing",
]
