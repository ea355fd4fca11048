"""Networks in a checkpoint that look at a picture, as diffusers lays them out: image encoder and depth estimator."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from pochade import layouts
from pochade.families import Variant
from pochade.files import Weights
from pochade.files.weights import Array
from pochade.layouts.packing import Names

NORMALIZER = "image_normalizer"
"""The folder of the mean and the spread of an image encoder's embeddings."""
STATISTICS = {"noise_augmentor.data_mean": "mean", "noise_augmentor.data_std": "std"}
"""Their names: the original's, which its own files leave out, and diffusers'."""


@dataclass(frozen=True)
class ImagePart:
    """One such network: its folder in diffusers' layout, where the original keeps it, and how names change."""

    folder: str
    prefix: str
    to_diffusers: Callable[[Iterable[str]], Names]
    to_original: Callable[[Iterable[str]], Names]


ENCODER = ImagePart("image_encoder", "embedder.model.visual.", layouts.vision.to_diffusers, layouts.vision.to_original)
ESTIMATOR = ImagePart("depth_estimator", "depth_model.model.", layouts.depth.to_diffusers, layouts.depth.to_original)
_OF_PIPELINES = {"StableUnCLIPImg2ImgPipeline": ENCODER, "StableDiffusionDepth2ImgPipeline": ESTIMATOR}


def image_part_of(variant: Variant | None) -> ImagePart | None:
    """Return the network that diffusers' pipeline for a branch has for pictures; None where it has none."""
    return _OF_PIPELINES.get(variant.pipeline) if variant else None


def says_nothing(mean: Array, spread: Array) -> bool:
    """Tell whether embeddings stay what they are by these statistics; a file without any means the same."""
    return bool(np.all(mean == 0) and np.all(spread == 1))


def plain_statistics(width: int) -> Weights:
    """Return a mean of 0 and a spread of 1 [1, width], in diffusers' names."""
    return Weights.from_arrays({"mean": np.zeros((1, width), np.float32), "std": np.ones((1, width), np.float32)})
