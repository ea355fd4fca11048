"""The user's collection of models: where the files are and what they are called."""

from pochade.library.find import find_by_hash, find_model

__all__ = ["find_by_hash", "find_model"]
