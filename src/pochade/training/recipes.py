"""A model from nothing by recipe: autoencoder, latents, UNet with text encoder, decoder polish, one checkpoint.

A recipe is a TOML file; `pochade/picturebook/recipe.toml` is the one of the shipped model. Every stage has a folder of
its own below the run's and resumes there, so the same command goes on after a kill at any point.
"""

import tomllib
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pochade import __version__, files
from pochade.errors import MalformedFileError, MissingFileError, UsageError
from pochade.events import Event, Saved, Step
from pochade.families import SD1
from pochade.networks import VAE, CLIPText, UNet, array_of, clip_shapes, fresh, tensor_of, unet_shapes, vae_shapes
from pochade.picturebook.pictures import PictureBook
from pochade.sampling.table import NoiseTable
from pochade.training.loop import LOG, Method, Plan, train
from pochade.training.methods.native import NativeTraining
from pochade.training.methods.vae import VAETraining
from pochade.training.pictures import Pictures, as_tensor
from pochade.training.plot import plot

LATENTS = "latents.safetensors"
MODEL = "model.safetensors"
_ENCODED_AT_ONCE = 32
_PLAN_FIELDS = {each.name for each in fields(Plan)}


@dataclass(frozen=True)
class Recipe:
    """All that decides a model: seeds, data, sizes of the networks and the stages with their plans."""

    title: str
    description: str
    seed: int
    data: Mapping[str, int]
    networks: Mapping[str, Mapping[str, Any]]
    vae: tuple[Mapping[str, Any], ...]
    native: Mapping[str, Any]
    decoder: tuple[Mapping[str, Any], ...] = ()

    @classmethod
    def read(cls, path: Path) -> "Recipe":
        """Read a TOML file. Raises FileError or UsageError naming the field that is wrong."""
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise MissingFileError(path, "there is no such recipe.") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise MalformedFileError(path, f"this is no TOML: {error}") from error
        known = {each.name for each in fields(cls)}
        wrong = (set(table) - known) | ({"title", "seed", "data", "networks", "vae", "native"} - set(table))
        if wrong:
            raise UsageError(f"{path}: '{min(wrong)}' is missing or unknown; a recipe has {', '.join(sorted(known))}.")
        table.setdefault("description", "")
        for stages in ("vae", "decoder"):
            table[stages] = tuple(table.get(stages, ()))
        return cls(**table)


def train_recipe(recipe: Recipe, folder: Path) -> Iterator[Event]:
    """Run or resume every stage; the last event is Saved with the finished checkpoint `model.safetensors`."""
    vae = fresh(VAE, vae_shapes(**recipe.networks["vae"]), recipe.seed)
    book = PictureBook(recipe.data["autoencoder_pictures"], recipe.seed)
    for number, stage in enumerate(recipe.vae, 1):
        yield from _train_vae(vae, book, stage, recipe.seed + number, folder / f"vae-{number}")
    _standardise(vae, book)
    pictures = PictureBook(recipe.data["pictures"], recipe.seed)
    unseen = PictureBook(recipe.data["held_out"], recipe.seed, "test")
    latents = yield from _latents(vae, pictures, folder / LATENTS)
    held_out = torch.cat(list(_encoded(vae, unseen)))
    method = NativeTraining(
        unet=fresh(UNet, unet_shapes(context=recipe.networks["text"]["width"], **recipe.networks["unet"]), recipe.seed),
        text_encoder=fresh(CLIPText, clip_shapes(**recipe.networks["text"]), recipe.seed),
        latents=latents,
        pictures=pictures,
        table=NoiseTable.scaled_linear(SD1.beta_start, SD1.beta_end),
        seed=recipe.seed,
        held_out=(held_out, unseen),
        **_without_plan(recipe.native),
    )
    yield from _stage(method, recipe.native, folder / "native", "unet")
    for number, stage in enumerate(recipe.decoder, 1):
        seed = recipe.seed + 100 + number
        yield from _train_vae(vae, book, {"parts": "decoder"} | dict(stage), seed, folder / f"decoder-{number}")
    yield Saved(_export(recipe, method, vae, folder / MODEL))


def _train_vae(vae: VAE, book: Pictures, stage: Mapping[str, Any], seed: int, folder: Path) -> Iterator[Event]:
    yield from _stage(VAETraining(vae, book, seed=seed, **_without_plan(stage)), stage, folder, folder.name)


def _stage(method: Method, stage: Mapping[str, Any], folder: Path, what: str) -> Iterator[Event]:
    """Train one stage, and draw its losses beside its log."""
    for event in train(method, _plan(stage), folder):
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


def _export(recipe: Recipe, method: NativeTraining, vae: VAE, path: Path) -> Path:
    """The checkpoint in the original layout, half precision, with modelspec metadata."""
    tensors = {name: each.detach() for name, each in method.trainable().items()}
    tensors |= {f"{SD1.vae_prefix}{name}": each for name, each in vae.state_dict().items()}
    arrays: dict[str, np.ndarray] = {name: array_of(each.half()) for name, each in tensors.items()}
    side = recipe.data["resolution"]
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
        "modelspec.date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S"),
        "modelspec.resolution": f"{side}x{side}",
        "modelspec.prediction_type": "epsilon",
    }
    return files.save(path, arrays, metadata)


def _plan(stage: Mapping[str, Any]) -> Plan:
    return Plan(**{name: value for name, value in stage.items() if name in _PLAN_FIELDS})


def _without_plan(stage: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in stage.items() if name not in _PLAN_FIELDS}
