"""The light verbs on files. Listing and moving bytes never load torch."""

from pochade.operations.inspect import inspect

__all__ = ["inspect"]
