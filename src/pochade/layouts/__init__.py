"""Names of one part in different worlds: original (LDM), diffusers, kohya. Pure functions on names, reversible."""

from pochade.layouts import kohya, text, unet, vae

__all__ = ["kohya", "text", "unet", "vae"]
