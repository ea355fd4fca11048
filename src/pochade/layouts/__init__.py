"""Names of one part in different worlds: original (LDM), diffusers, kohya. Pure functions on names, reversible."""

from pochade.layouts import controlnet, depth, kohya, openclip, text, unet, upscaler, vae, vision

__all__ = ["controlnet", "depth", "kohya", "openclip", "text", "unet", "upscaler", "vae", "vision"]
