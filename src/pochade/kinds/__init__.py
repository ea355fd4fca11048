"""What a file can be: checkpoint, vae, lora, embedding, hypernetwork, controlnet, upscaler."""

from pochade.kinds.diffusers import open_model
from pochade.kinds.recognition import recognise

__all__ = ["open_model", "recognise"]
