"""The same special checkpoint drawn by diffusers, from the folder that it becomes, with A1111's way to begin."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

PROMPT, NEGATIVE = "a cat sitting on a table", "blurry"
SEED, CFG, STEPS = 3, 5.0, 10  # 10 uniform steps fall on whole timesteps, where diffusers' sigmas are A1111's
SIZE = (128, 64)
RUN = {
    "negative_prompt": NEGATIVE, "sampler": "Euler", "schedule": "Uniform", "cfg": CFG, "seed": SEED, "rng": "cpu",
    "steps": STEPS,
}  # fmt: skip


def photo(size=SIZE, seed=1):
    """Noise at first, soft patches of colour after it has grown."""
    small = np.random.default_rng(seed).integers(0, 256, (4, 8, 3), dtype=np.uint8)
    return Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)


def pixels(drawn):
    """A picture's pixels as integers that may be subtracted."""
    return np.asarray(getattr(drawn, "image", drawn)).astype(int)


def drawing_of(kind, folder):
    """One of diffusers' pipelines with Euler's scheduler over timesteps that are evenly spaced from the last on."""
    from diffusers import EulerDiscreteScheduler

    drawing = kind.from_pretrained(folder, torch_dtype=torch.float32, local_files_only=True)
    drawing.set_progress_bar_config(disable=True)
    drawing.scheduler = EulerDiscreteScheduler.from_config(drawing.scheduler.config, timestep_spacing="linspace")
    drawing.scheduler.set_timesteps(STEPS)
    return drawing


@dataclass(frozen=True)
class Beginning:
    """What a run of `STEPS` begins with when the first `skipped` are left out: a picture's latents, and noise on it."""

    drawing: object
    picture: torch.Tensor
    noise: torch.Tensor
    skipped: int = 0

    @classmethod
    @torch.no_grad()
    def of(cls, drawing, image, skipped=0):
        """With an image as the autoencoder sees it."""
        height, width = (side // 8 for side in reversed(image.size))
        pixels = drawing.image_processor.preprocess(image)
        picture = drawing.vae.encode(pixels).latent_dist.mode() * drawing.vae.config.scaling_factor
        return cls(drawing, picture, unit_noise(4, height, width), skipped)

    @property
    def latents(self):
        """A trace of the picture is there even in the first step."""
        return self.at(self.skipped)

    @property
    def scaled(self):
        """The same for pipelines that multiply what they get by the first sigma."""
        return self.latents / self.drawing.scheduler.init_noise_sigma

    def at(self, step):
        """The picture with as much noise as this step begins with."""
        return self.picture + self.noise * self.drawing.scheduler.sigmas[step]

    def keeping(self, mask) -> Callable:
        """A callback after each step that brings the picture back where the mask [1, 1, h, w] is 0."""
        return lambda pipeline, step, time, values: {
            "latents": torch.where(mask > 0.5, values["latents"], self.at(self.skipped + step + 1))
        }


def unit_noise(*shape):
    """The noise that a run begins with."""
    return torch.randn(1, *shape, generator=torch.Generator().manual_seed(SEED))


def apart():
    """Where the noise comes from that some models have on the picture they look at."""
    return torch.Generator().manual_seed(SEED ^ 0x9E3779B9)


def theirs(drawing, **settings):
    """The picture that diffusers draws."""
    run = {"negative_prompt": NEGATIVE, "guidance_scale": CFG, "num_inference_steps": STEPS}
    drawn = drawing(prompt=PROMPT, **run, **settings)
    return pixels(drawn.images[0])
