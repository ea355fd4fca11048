"""Names of one part in different worlds: original (LDM), diffusers, kohya. Pure functions on names, reversible."""

from pochade.layouts import controlnet, kohya, openclip, text, unet, vae

__all__ = ["controlnet", "kohya", "openclip", "text", "unet", "vae"]
