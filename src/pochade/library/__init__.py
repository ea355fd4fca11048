"""The user's collection of models: where the files are and what they are called."""

from pochade.library.find import find_by_hash, find_model
from pochade.library.hashes import short_hash
from pochade.library.vae_choice import vae_for

__all__ = ["find_by_hash", "find_model", "short_hash", "vae_for"]
