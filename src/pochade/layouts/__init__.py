"""Names of one part in different worlds: original (LDM), diffusers, kohya. Pure functions on names, reversible."""

from pochade.layouts import controlnet, depth, kohya, openclip, t2i_adapter, text, unet, upscaler, vae, vision

__all__ = ["controlnet", "depth", "kohya", "openclip", "t2i_adapter", "text", "unet", "upscaler", "vae", "vision"]
