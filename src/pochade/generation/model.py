"""A loaded model: its networks, its facts, and the numbers it computes with."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files as package_files
from pathlib import Path

import torch
from torch import Tensor, nn

from pochade import files, kinds
from pochade.errors import MalformedFileError, NumericalError, UsageError
from pochade.families import Family, recognise
from pochade.generation.request import is_side
from pochade.kinds.resolution import resolution_of
from pochade.kinds.vae import vae_of
from pochade.library import short_hash
from pochade.networks import VAE, Networks, networks_of
from pochade.networks.loading import load
from pochade.sampling import NoiseTable

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_WORTH_HALVING = 100_000_000  # parameters from which half precision pays on a CPU


def shipped_model() -> Path:
    """The model that comes with Pochade."""
    return Path(str(package_files("pochade.picturebook"))) / "picturebook.safetensors"


@dataclass(frozen=True)
class Model:
    """Networks on a device, with what is known of the file they come from."""

    networks: Networks
    family: Family
    path: Path
    vae_path: Path | None
    resolution: tuple[int, int]
    device: torch.device
    dtype: str

    @classmethod
    def load(cls, path: Path | None, vae: Path | None, device: str, dtype: str) -> "Model":
        """Load a checkpoint, or the shipped model, and a VAE in place of its own.

        Raises FileError where a file cannot be used, UsageError for a device or dtype that is not there.
        """
        path = path or shipped_model()
        weights = kinds.open_model(path)
        family = recognise(weights.shapes())
        if family is None:
            raise MalformedFileError(
                path, "this is no checkpoint of a known family; `pochade inspect` tells what it is."
            )
        variant = family.variant(weights.shapes())
        if variant != "base":
            raise MalformedFileError(path, f"this is a {variant or 'partial'} model, which txt2img cannot draw with.")
        where = device_of(device)
        kind = dtype_of(dtype, where, sum(weights.info(name).size for name in weights))
        other = load_vae(vae, family, where, DTYPES[kind]) if vae else None
        networks = networks_of(weights, family, where, DTYPES[kind], other)
        return cls(networks, family, path, vae, _resolution(weights, family), where, kind)

    @property
    def is_shipped(self) -> bool:
        """Whether this is the model that comes with Pochade."""
        return self.path == shipped_model()

    @cached_property
    def hash(self) -> str:
        """First 10 hex digits of the file's SHA-256."""
        return short_hash(self.path)

    @cached_property
    def vae_hash(self) -> str:
        """The same of the VAE's file, empty when the model's own is used."""
        return short_hash(self.vae_path) if self.vae_path else ""

    @cached_property
    def table(self) -> NoiseTable:
        """The noise table that the family was trained on."""
        return NoiseTable.scaled_linear(self.family.beta_start, self.family.beta_end)

    def predict(self, latents: Tensor, timesteps: Tensor, context: Tensor) -> Tensor:
        """The UNet in its own dtype, float32 outside."""
        dtype = DTYPES[self.dtype]
        context = context.to(self.device, dtype)
        prediction: Tensor = self.networks.unet(latents.to(dtype), timesteps, context).float()
        return prediction

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """Scaled latents [4, h, w] to a picture [3, 8 h, 8 w] in 0..1; if half precision overflows, in full precision.

        Raises NumericalError when the result is no picture.
        """
        unscaled = latents[None] / self.family.latent_scale
        picture = self.networks.vae.decode(unscaled.to(DTYPES[self.dtype])).float()
        if not picture.isfinite().all() and self.dtype != "fp32":
            with _in_full_precision(self.networks.vae, DTYPES[self.dtype]) as vae:
                picture = vae.decode(unscaled.float())
        if not picture.isfinite().all():
            raise NumericalError(f"{self.path.name}: its VAE gave NaN or infinity; draw with another one (--vae FILE).")
        return (picture[0] / 2 + 0.5).clamp(0, 1)

    @contextmanager
    def tiled(self, on: bool) -> Iterator[None]:
        """Within this context every convolution sees the opposite edge beyond an edge, if `on`."""
        convolutions = [
            each
            for network in (self.networks.unet, self.networks.vae)
            for each in network.modules()
            if on and isinstance(each, nn.Conv2d)
        ]
        try:
            for each in convolutions:
                each.padding_mode = "circular"
            yield
        finally:
            for each in convolutions:
                each.padding_mode = "zeros"


@contextmanager
def _in_full_precision(vae: VAE, dtype: torch.dtype) -> Iterator[VAE]:
    try:
        yield vae.float()
    finally:
        vae.to(dtype)


def load_vae(path: Path, family: Family, device: torch.device, dtype: torch.dtype) -> VAE:
    """The VAE of a file: alone or inside a checkpoint, in the original's names or in diffusers'."""
    return load(VAE, vae_of(kinds.open_model(path), family), "", device, dtype)


def device_of(name: str) -> torch.device:
    """The device that "auto", "cpu" or "cuda" means here."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise UsageError("device is 'cuda', but torch sees no CUDA card here; use --device cpu or auto.")
    return torch.device(name)


def dtype_of(name: str, device: torch.device, parameters: int) -> str:
    """The dtype that "auto" means for a model of this size; a CPU has no fast half precision but bfloat16."""
    if name == "fp16" and device.type == "cpu":
        raise UsageError("dtype is 'fp16', which a CPU computes many times slower than the others; use bf16 or fp32.")
    if name != "auto":
        return name
    if device.type == "cuda":
        return "fp16"
    has_bf16 = bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return "bf16" if has_bf16 and parameters >= _WORTH_HALVING else "fp32"


def _resolution(weights: files.Weights, family: Family) -> tuple[int, int]:
    """Width and height that the model was trained for, if a picture can have them."""
    width, height = resolution_of(weights, family)
    return (width, height) if is_side(width) and is_side(height) else (family.resolution, family.resolution)
