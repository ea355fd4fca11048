"""What special checkpoints are told beside the text: masks, depth, the picture to edit, or what it shows."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from pochade.errors import UsageError
from pochade.generation.model import Model
from pochade.generation.passes import Tell
from pochade.generation.request import Request
from pochade.networks.depth import depth_condition
from pochade.networks.noise_augmentation import noised_picture
from pochade.sampling import StepText
from pochade.sampling.guidance import with_classes, with_picture
from pochade.sampling.noise import Seeds, generator

_UPSCALER_LEVEL = 20  # of noise, where none is given
_APART = 0x9E3779B9  # from the seeds of the latents' noise, or this noise would be a copy of it


@dataclass(frozen=True, eq=False)
class Scene:
    """What a batch looks at: pictures [B,3,H,W] in -1..1, masks [B,1,H,W] and depth maps [B,1,H,W] in 0..1.

    `size` are height and width of the latents, `seeds` give the noise that some models lay on the pictures.
    """

    size: tuple[int, int]
    seeds: Seeds
    pictures: Tensor | None = None
    masks: Tensor | None = None
    depths: Tensor | None = None

    @property
    def count(self) -> int:
        """Number of pictures in the batch."""
        return len(self.seeds.seeds)

    def noise(self, shape: tuple[int, ...]) -> Tensor:
        """Unit noise [B, *shape], of each picture's own seed."""
        return torch.stack([generator(self.seeds.source, seed ^ _APART).randn(shape) for seed in self.seeds.seeds])


def teller(model: Model, request: Request, scene: Scene) -> Tell:
    """What the model wants to know beside the text of a batch.

    Raises UsageError where the model cannot work without a picture and there is none, or with what there is.
    """
    tell = _TELLERS[model.variant.name]
    if scene.depths is not None and tell is not _depth:
        raise UsageError(f"{model.path.name} takes no depth map; leave it out, or draw with a depth model.")
    return tell(model, request, scene)


def _base(model: Model, request: Request, scene: Scene) -> Tell:
    return lambda text: text


def _inpainting(model: Model, request: Request, scene: Scene) -> Tell:
    """The mask and the rest of the picture; without a picture everything is masked and the rest is grey."""
    pictures, masks = scene.pictures, scene.masks
    if pictures is None:
        pictures = torch.zeros(scene.count, 3, scene.size[0] * model.cell, scene.size[1] * model.cell)
    if masks is None:
        masks = torch.ones(scene.count, 1, *scene.size)
    masks = masks.round() if request.rounds_mask else masks
    hidden = F.interpolate(masks, size=pictures.shape[-2:]) * request.mask_weight
    small = F.interpolate(masks, size=scene.size)
    return _beside(torch.cat([small.to(model.device), _encoded(model, pictures * (1 - hidden), scene)], dim=1))


def _depth(model: Model, request: Request, scene: Scene) -> Tell:
    """How near everything is, given or estimated; a given map does without a picture."""
    depths = scene.depths
    if depths is None:
        depths = model.sight.depth(_pictures(model, scene))
    return _beside(depth_condition(depths, scene.size).to(model.device))


def _edited(model: Model, request: Request, scene: Scene) -> Tell:
    """The latents of the picture, as the autoencoder gives them."""
    latents = _encoded(model, _pictures(model, scene), scene) / model.latent_scale
    return _beside(latents, guided=request.image_cfg != 1.0)


def _upscaled(model: Model, request: Request, scene: Scene) -> Tell:
    """The small picture with some noise, and how much it is. The run itself begins with noise alone."""
    small = F.interpolate(_pictures(model, scene), size=scene.size, mode="area")
    if scene.masks is not None:
        raise UsageError(f"{model.path.name} makes whole pictures larger; it takes no mask.")
    level = _UPSCALER_LEVEL if request.noise_level is None else request.noise_level
    noised, classes = noised_picture(small, scene.noise(small.shape[1:]).to(small), level)
    look, classes = _beside(noised.to(model.device)), classes.to(model.device)
    return lambda text: with_classes(look(text), classes, classes)


def _shown(model: Model, request: Request, scene: Scene) -> Tell:
    """What the picture shows; nothing, where there is none, and for the half without the prompt.

    The run begins with the picture too, as any run over one: even at full strength a trace of it shows through.
    """
    width = model.networks.unet.get_parameter("label_emb.0.0.weight").shape[1]
    if scene.pictures is None:
        classes = torch.zeros(scene.count, width, device=model.device)
    else:
        noise = scene.noise((width // 2,))
        classes = model.sight.classes(scene.pictures, noise, request.noise_level or 0).to(model.device)
    return lambda text: with_classes(text, classes, torch.zeros_like(classes))


def _pictures(model: Model, scene: Scene) -> Tensor:
    if scene.pictures is None:
        works = f"{model.path.name} works on a picture, as {model.variant.name} models do"
        raise UsageError(f"{works}; give it one (pochade img2img --image FILE).")
    return scene.pictures


def _encoded(model: Model, pictures: Tensor, scene: Scene) -> Tensor:
    """Latents of pictures, resized where these have not the size of the run."""
    latents = model.encode(pictures)
    return latents if latents.shape[2:] == scene.size else F.interpolate(latents, size=scene.size, mode="bilinear")


def _beside(picture: Tensor, guided: bool = False) -> Tell:
    return partial(_with_picture, picture=picture, guided=guided)


def _with_picture(text: StepText, picture: Tensor, guided: bool) -> StepText:
    return with_picture(text, picture, guided)


_TELLERS: dict[str, Callable[[Model, Request, Scene], Tell]] = {
    "base": _base,
    "inpainting": _inpainting,
    "depth": _depth,
    "instruct-pix2pix": _edited,
    "x4-upscaler": _upscaled,
    "unclip-h": _shown,
    "unclip-l": _shown,
}
