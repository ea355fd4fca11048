"""The light verbs on files. Listing and moving bytes never load torch."""

from pochade.operations.convert import Conversion, convert, converting
from pochade.operations.inspect import inspect
from pochade.operations.merge import Merge, merging
from pochade.operations.recipes import merge

__all__ = ["Conversion", "Merge", "convert", "converting", "inspect", "merge", "merging"]
