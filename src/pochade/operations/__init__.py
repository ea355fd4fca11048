"""The light verbs on files. Listing and moving bytes never load torch."""

from pochade.operations.convert import Conversion, convert, converting
from pochade.operations.inspect import inspect

__all__ = ["Conversion", "convert", "converting", "inspect"]
