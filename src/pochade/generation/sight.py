"""The networks with which special checkpoints look at pictures, loaded when a picture is shown to them."""

from dataclasses import dataclass
from functools import cached_property, partial

import torch
from torch import Tensor

from pochade.errors import UsageError
from pochade.families import Variant
from pochade.files import Weights
from pochade.kinds.image_parts import ENCODER, ESTIMATOR, STATISTICS
from pochade.networks.depth import DepthModel
from pochade.networks.loading import load, tensor_of
from pochade.networks.noise_augmentation import noised_embedding
from pochade.networks.vision import CLIPVision


@dataclass(frozen=True, eq=False)
class Sight:
    """What a checkpoint of weights holds to look at pictures with; on one device, encoders in one dtype."""

    weights: Weights
    variant: Variant
    device: torch.device
    dtype: torch.dtype

    @torch.no_grad()
    def depth(self, pictures: Tensor) -> Tensor:
        """How near everything is in pictures [B, 3, H, W] in -1..1: [B, 1, h, w], without a scale."""
        depth: Tensor = self._estimator(pictures.to(self.device))
        return depth

    @torch.no_grad()
    def classes(self, pictures: Tensor, noise: Tensor, level: int) -> Tensor:
        """What pictures show, as the UNet is told it: [B, A]. `noise` [B, D] of a level is laid on it.

        Raises UsageError for a level that needs to know how the embeddings are spread, which not every file tells.
        """
        if level and self.variant.quick_gelu and not self._knows_statistics:
            raise UsageError(
                f"{_name(self.weights)} lacks '{next(iter(STATISTICS))}' and its like, without which only noise level "
                "0 is right; a file converted from the model's published diffusers folder has them."
            )
        embeddings = self._encoder(pictures.to(self.device)).float()
        mean, deviation = self._statistics
        return noised_embedding(embeddings, noise.to(self.device), level, mean, deviation)

    @cached_property
    def _encoder(self) -> CLIPVision:
        build = partial(CLIPVision, quick_gelu=self.variant.quick_gelu)
        return load(build, self.weights, ENCODER.prefix, self.device, self.dtype)

    @cached_property
    def _estimator(self) -> DepthModel:
        """In full precision: in half, its depths are off by several percent."""
        return load(DepthModel, self.weights, ESTIMATOR.prefix, self.device, torch.float32)

    @property
    def _knows_statistics(self) -> bool:
        return all(name in self.weights for name in STATISTICS)

    @cached_property
    def _statistics(self) -> tuple[Tensor | float, Tensor | float]:
        """Mean and deviation of the embeddings in training, where the file has them."""
        if not self._knows_statistics:
            return 0.0, 1.0
        mean, deviation = (tensor_of(self.weights[name]).to(self.device, torch.float32) for name in STATISTICS)
        return mean, deviation


def _name(weights: Weights) -> str:
    return weights.path.name if weights.path else "the model"
