"""A model from nothing by recipe: autoencoder, latents, UNet with text encoder, decoder polish, one checkpoint.

Every stage has a folder of its own below the run's and resumes there, so the same command goes on after a kill at any
point.
"""

import json
from collections.abc import Generator, Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from pochade import __version__, files
from pochade.errors import UsageError
from pochade.events import Event, Saved, Step
from pochade.families import SD1
from pochade.files.saving import replacing
from pochade.networks import VAE, CLIPText, UNet, array_of, clip_shapes, fresh, tensor_of, unet_shapes, vae_shapes
from pochade.picturebook.pictures import PictureBook
from pochade.sampling.table import NoiseTable
from pochade.training.loop import LOG, Method, Plan, train
from pochade.training.methods.native import NativeTraining, named
from pochade.training.methods.sketch import SketchTraining
from pochade.training.methods.vae import Parts, VAETraining
from pochade.training.pictures import Pictures, as_tensor
from pochade.training.plot import plot
from pochade.training.recipe import Recipe, VAEStage

RECIPE = "recipe.json"
LATENTS = "latents.safetensors"
MODEL = "model.safetensors"
_ENCODED_AT_ONCE = 32


def train_recipe(recipe: Recipe, folder: Path) -> Iterator[Event]:
    """Run or resume every stage; the last event is Saved with the finished checkpoint `model.safetensors`.

    Raises UsageError when the folder holds a run with another seed, other data or other networks.
    """
    _claim(recipe, folder)
    sizes = recipe.networks
    vae = fresh(VAE, vae_shapes(**asdict(sizes.vae)), recipe.seed)
    book = PictureBook(recipe.data.autoencoder_pictures, recipe.seed)
    for number, stage in enumerate(recipe.vae, 1):
        yield from _train_vae(vae, book, stage, "all", recipe.seed + number, folder / f"vae-{number}")
    _standardise(vae, book)
    pictures = PictureBook(recipe.data.pictures, recipe.seed)
    unseen = PictureBook(recipe.data.held_out, recipe.seed, "test")
    latents = yield from _latents(vae, pictures, folder / LATENTS)
    held_out = torch.cat(list(_encoded(vae, unseen)))
    unet = fresh(UNet, unet_shapes(context=sizes.text.width, **asdict(sizes.unet)), recipe.seed)
    text_encoder = fresh(CLIPText, clip_shapes(**asdict(sizes.text)), recipe.seed)
    for number, native in enumerate(recipe.native, 1):
        if native.sketch:
            sketch = SketchTraining(text_encoder, latents, pictures, native.sketch.batch, recipe.seed + number - 1)
            yield from _stage(sketch, native.sketch, folder / f"sketch-{number}", f"sketch-{number}")
        method = NativeTraining(
            unet=unet,
            text_encoder=text_encoder,
            latents=latents,
            pictures=pictures,
            table=NoiseTable.scaled_linear(SD1.beta_start, SD1.beta_end),
            seed=recipe.seed + number - 1,
            held_out=(held_out, unseen),
            batch=native.batch,
            dropout=native.dropout,
            snr_gamma=native.snr_gamma,
            text_learns=native.text_learns,
        )
        yield from _stage(method, native, folder / f"native-{number}", f"unet-{number}")
    for number, stage in enumerate(recipe.decoder, 1):
        yield from _train_vae(vae, book, stage, "decoder", recipe.seed + 100 + number, folder / f"decoder-{number}")
    yield Saved(_export(recipe, named(unet, text_encoder), vae, folder / MODEL))


def _claim(recipe: Recipe, folder: Path) -> None:
    """Note in a new run's folder what all its stretches must share, or compare with what an earlier one noted."""
    path = folder / RECIPE
    ours = json.dumps(recipe.fixed(), indent=2)
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            file.write(ours.encode())
    elif path.read_text(encoding="utf-8") != ours:
        raise UsageError(
            f"{folder} holds a run with another seed, other data or other networks (see {path.name} in it); "
            "put the recipe back, or name another folder."
        )


def _train_vae(vae: VAE, book: Pictures, stage: VAEStage, parts: Parts, seed: int, folder: Path) -> Iterator[Event]:
    method = VAETraining(vae, book, stage.batch, stage.crop, seed, stage.kind, parts, stage.kl)
    yield from _stage(method, stage, folder, folder.name)


def _stage(method: Method, plan: Plan, folder: Path, what: str) -> Iterator[Event]:
    """Train one stage, and draw its losses beside its log."""
    for event in train(method, plan, folder):
        yield Step(event.done, event.total, what, event.loss) if isinstance(event, Step) else event
    plot(folder / LOG, f"{what}: loss by step").save(folder / "loss.png")


@torch.no_grad()
def _standardise(vae: VAE, book: Pictures) -> None:
    """Fold a shift and a scale per channel into the 1x1 convolutions around the latents.

    Afterwards the latents of the book have zero mean, and unit deviation once multiplied by the family's fixed scale.
    """
    sample = torch.cat([latents / SD1.latent_scale for latents in _encoded(vae, book, limit=512)])
    mean = sample.mean(dim=(0, 2, 3))
    factor = 1 / (SD1.latent_scale * sample.std(dim=(0, 2, 3)))
    count = len(mean)
    quant, post = vae.quant_conv, vae.post_quant_conv
    assert quant.bias is not None and post.bias is not None
    post.bias += (post.weight[:, :, 0, 0] * mean).sum(1)
    post.weight /= factor[None, :, None, None]
    quant.weight[:count] *= factor[:, None, None, None]
    quant.bias[:count] = (quant.bias[:count] - mean) * factor
    quant.bias[count:] += 2 * factor.log()


def _latents(vae: VAE, pictures: Pictures, path: Path) -> Generator[Event, None, Tensor]:
    """Encode all pictures once, or read what an earlier run encoded; returns them scaled, float16 [N, 4, h, w]."""
    if not path.exists():
        parts = []
        for part in _encoded(vae, pictures):
            parts.append(part.half())
            yield Step(min(len(parts) * _ENCODED_AT_ONCE, len(pictures)), len(pictures), "latents")
        files.save(path, {"latents": array_of(torch.cat(parts))})
    return tensor_of(files.open(path)["latents"])


@torch.no_grad()
def _encoded(vae: VAE, pictures: Pictures, limit: int | None = None) -> Iterator[Tensor]:
    """Scaled mean latents of the pictures in batches."""
    count = min(limit or len(pictures), len(pictures))
    for start in range(0, count, _ENCODED_AT_ONCE):
        batch = [pictures.picture(index) for index in range(start, min(start + _ENCODED_AT_ONCE, count))]
        with torch.autocast("cpu", torch.bfloat16):
            mean, _ = vae.encode(as_tensor(batch))
        yield mean.float() * SD1.latent_scale


def _export(recipe: Recipe, parameters: dict[str, nn.Parameter], vae: VAE, path: Path) -> Path:
    """The checkpoint in the original layout, half precision, with modelspec metadata."""
    tensors = {name: each.detach() for name, each in parameters.items()}
    tensors |= {f"{SD1.vae_prefix}{name}": each for name, each in vae.state_dict().items()}
    arrays: dict[str, np.ndarray] = {name: array_of(each.half()) for name, each in tensors.items()}
    side = recipe.data.resolution
    metadata = {
        "format": "pt",
        "modelspec.sai_model_spec": "1.0.0",
        "modelspec.architecture": "stable-diffusion-v1",
        "modelspec.implementation": "pochade",
        "modelspec.implementation_version": __version__,
        "modelspec.title": recipe.title,
        "modelspec.description": recipe.description,
        "modelspec.author": "Pochade",
        "modelspec.license": "Apache-2.0",
        "modelspec.resolution": f"{side}x{side}",
        "modelspec.prediction_type": "epsilon",
    }
    if recipe.date:  # not today's: a run that was stopped and resumed writes the same file
        metadata["modelspec.date"] = recipe.date.isoformat()
    return files.save(path, arrays, metadata)
