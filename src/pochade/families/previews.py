"""How latents look at a glance: what each of their channels adds to red, green and blue.

A linear map of one latent to one pixel shows a picture on its way at no cost. `scripts/fit_previews.py` finds it for a
model whose VAE is at hand.
"""

from dataclasses import dataclass
from typing import TypeAlias

Colour: TypeAlias = tuple[float, float, float]


@dataclass(frozen=True)
class Projection:
    """The colour, -1..1, that 1 adds in each channel of scaled latents, and the colour of zeros."""

    channels: tuple[Colour, Colour, Colour, Colour]
    zero: Colour = (0.0, 0.0, 0.0)


# fitted to Stable Diffusion 1.4: https://discuss.huggingface.co/t/decoding-latents-to-rgb-without-upscaling/23204
SD = Projection(
    ((0.298, 0.207, 0.208), (0.187, 0.286, 0.173), (-0.158, 0.189, 0.264), (-0.184, -0.271, -0.473)),
)

# in steps of 1 / 255 and rounded to 5: https://huggingface.co/blog/TimothyAlexisVass/explaining-the-sdxl-latent-space
SDXL = Projection(
    ((0.471, 0.471, 0.471), (-0.471, -0.039, 0.078), (0.196, 0.118, -0.039), (-0.549, -0.392, -0.275)),
    (0.176, 0.098, 0.020),
)

# the shipped model's, from pictures of its own
PICTUREBOOK = Projection(
    ((-0.203, 0.076, 0.126), (0.468, 0.507, 0.283), (-0.082, 0.078, 0.046), (0.004, 0.065, -0.243)),
    (0.264, 0.327, 0.364),
)
