"""A loaded model: its networks, its facts, and the numbers it computes with."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from pochade import files, kinds
from pochade.errors import MalformedFileError, NumericalError, UsageError
from pochade.families import Family, Variant, recognise
from pochade.families.family import Prediction
from pochade.families.previews import PICTUREBOOK, Projection
from pochade.generation.controlnet.control import Control, control_of, features_of
from pochade.generation.device.asking import asked
from pochade.generation.device.autoencoder import Autoencoder
from pochade.generation.device.memory import Memory
from pochade.generation.device.trouble import cause
from pochade.generation.device.vae_fit import check_vae
from pochade.generation.device.workplace import WORK, bytes_of
from pochade.generation.extra_networks.patches import Patches
from pochade.generation.request import is_side
from pochade.generation.sight import Sight
from pochade.kinds.prediction import prediction_of
from pochade.kinds.resolution import resolution_of
from pochade.kinds.vae import vae_of
from pochade.library import short_hash
from pochade.library.shipped import shipped_model
from pochade.networks import VAE, Networks, UNet, networks_of
from pochade.networks.hypernetwork import Applied, attached
from pochade.networks.loading import load
from pochade.networks.vae import sample
from pochade.sampling import ALIGNED_SD1, ALIGNED_SDXL, Conditions, NoiseTable

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_WORTH_HALVING = 100_000_000  # parameters from which half precision pays on a CPU
_ALIGNED = {"sd1": ALIGNED_SD1, "sdxl": ALIGNED_SDXL}
_LAST_TIMESTEP = 999


@dataclass(frozen=True)
class Model:
    """Networks on a device, with what is known of the file they come from."""

    networks: Networks
    family: Family
    variant: Variant
    prediction: Prediction
    path: Path
    vae_path: Path | None
    resolution: tuple[int, int]
    device: torch.device
    dtype: str
    sight: Sight
    memory: Memory

    @classmethod
    def load(
        cls, path: Path | None, vae: Path | None, device: str, dtype: str, memory: Memory | float | None = None
    ) -> "Model":
        """Load a checkpoint, or the shipped model, and a VAE in place of its own.

        `memory` is that of a model which draws along, or how many gigabytes of the device may be taken.
        Raises FileError where a file cannot be used, UsageError for a device or dtype that is not there.
        """
        path = path or shipped_model()
        weights = kinds.open_model(path)
        family, variant = _recognised(weights, path)
        where = device_of(device)
        kind = dtype_of(dtype, where, sum(weights.info(name).size for name in weights))
        memory = memory if isinstance(memory, Memory) else Memory(where, memory)
        home = memory.home_for(_bytes_in(DTYPES[kind], weights, family))
        other = load_vae(vae, family, home, DTYPES[kind]) if vae else None
        networks = networks_of(weights, family, home, DTYPES[kind], other)
        memory.spare(networks.unet, networks.vae)
        with memory.workplace.at_work(networks.unet):
            prediction = prediction_of(weights, family) or measured_prediction(networks.unet)
        resolution = _resolution(weights, family, prediction)
        sight = Sight(weights, variant, home, DTYPES[kind if home == where else "fp32"])
        return cls(networks, family, variant, prediction, path, vae, resolution, where, kind, sight, memory)

    def resolution_for(self, prediction: str) -> tuple[int, int]:
        """Width and height that it was trained for if this is what it predicts, whatever was measured."""
        return _resolution(self.sight.weights, self.family, cast(Prediction, prediction))

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
    def patches(self) -> Patches:
        """What LoRAs have changed in its networks."""
        return Patches(self.networks, self.family, self.memory, self.path.name)

    @cached_property
    def table(self) -> NoiseTable:
        """The noise table that the model was trained on, with what it predicts."""
        first, last = self.variant.betas or (self.family.beta_start, self.family.beta_end)
        table = NoiseTable.scaled_linear(first, last, self.prediction)
        return replace(table, aligned=_ALIGNED[self.family.aligned])

    @property
    def latent_scale(self) -> float:
        """What the VAE's latents are multiplied by for the UNet."""
        return self.variant.latent_scale or self.family.latent_scale

    @property
    def preview(self) -> Projection:
        """How its latents look at a glance."""
        return PICTUREBOOK if self.is_shipped else self.family.preview

    @property
    def cell(self) -> int:
        """Side in pixels of what one latent stands for: the VAE halves a picture between its levels."""
        return int(2 ** (len(self.networks.vae.encoder.down) - 1))

    def predict(
        self,
        latents: Tensor,
        timesteps: Tensor,
        conditions: Conditions,
        controls: Sequence[Control] = (),
        hypernetworks: Sequence[Applied] = (),
    ) -> Tensor:
        """The UNet in its own dtype, float32 outside. Rows with the prompt come first.

        Raises NumericalError when it gives NaN, ResourceError when memory does not suffice.
        """
        ask = partial(self._asked, controls=controls)
        with attached(self.networks.unet, hypernetworks):
            return asked(ask, latents, timesteps, conditions, self.memory, self.networks.unet)

    def _asked(self, latents: Tensor, timesteps: Tensor, conditions: Conditions, controls: Sequence[Control]) -> Tensor:
        """The same as long as memory suffices."""
        dtype = DTYPES[self.dtype]
        if conditions.picture is not None:
            latents = torch.cat([latents, conditions.picture], dim=1)
        given = latents.to(dtype), timesteps, conditions.context.to(self.device, dtype)
        prompted, classes = sum(conditions.prompted), conditions.classes
        room = WORK + max((bytes_of(each.network) for each in controls), default=0)
        with self.memory.workplace.at_work(self.networks.unet, room):
            control = control_of(controls, *given, prompted, conditions.progress, classes)
            features = features_of(controls, given[0], prompted, conditions.progress)
            ask = partial(self.networks.unet, *given, classes, control, features)
            prediction: Tensor = ask().float()
            if not prediction.isfinite().all() and latents.isfinite().all():
                raise self._no_numbers(ask, conditions)
        return prediction

    def _no_numbers(self, ask: partial[Tensor], conditions: Conditions) -> NumericalError:
        """Why the UNet gave none, and what to do."""
        if not conditions.context.isfinite().all():
            return NumericalError(f"{self.path.name}: its text encoder gave NaN or infinity; {_advice(self.dtype)}.")
        found = cause(self.networks.unet, self.family.unet_prefix, ask)
        advice = "take an undamaged copy of the file" if found.is_damaged else _advice(self.dtype)
        return NumericalError(f"{self.path.name}: its UNet gave NaN or infinity, {found.words}; {advice}.")

    @cached_property
    def autoencoder(self) -> Autoencoder:
        """The VAE at work."""
        name, prefix = (self.vae_path.name, "") if self.vae_path else (self.path.name, self.family.vae_prefix)
        return Autoencoder(self.networks.vae, self.device, self.memory, name, prefix)

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """Scaled latents [4, h, w] to a picture [3, 8 h, 8 w] in 0..1; if half precision overflows, in full precision.

        Raises NumericalError when the result is no picture.
        """
        picture = self.autoencoder.decode(latents[None] / self.latent_scale)[0]
        return (picture / 2 + 0.5).clamp(0, 1)

    @torch.no_grad()
    def encode(self, pictures: Tensor, noise: Tensor | None = None) -> Tensor:
        """Pictures [B, 3, H, W] in -1..1 to scaled latents [B, 4, h, w], float32; if half precision overflows, in full.

        They are drawn with unit `noise` of their shape, else the mean. Raises NumericalError when they are no numbers.
        """
        mean, log_variance = self.autoencoder.encode(pictures)
        latents = mean if noise is None else sample(mean, log_variance, noise.to(mean))
        return latents * self.latent_scale

    @contextmanager
    def tiled(self, on: bool, others: Sequence[nn.Module] = ()) -> Iterator[None]:
        """Within this context every convolution, here and in other networks, sees the opposite edge beyond an edge."""
        convolutions = [
            each
            for network in (self.networks.unet, self.networks.vae, *others)
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


def load_vae(path: Path, family: Family, device: torch.device, dtype: torch.dtype) -> VAE:
    """The VAE of a file: alone or inside a checkpoint, in the original's names or in diffusers'."""
    weights = kinds.open_model(path)
    check_vae(weights, family)
    return load(VAE, vae_of(weights, family), "", device, dtype)


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


def _bytes_in(dtype: torch.dtype, weights: files.Weights, family: Family) -> int:
    """Bytes of a checkpoint's networks in a dtype."""
    prefixes = (family.unet_prefix, family.vae_prefix, *(each.prefix for each in family.encoders))
    return sum(weights.info(name).size for name in weights if name.startswith(prefixes)) * dtype.itemsize


def _advice(dtype: str) -> str:
    """What to do where half precision or the model itself may be at fault."""
    return "draw with --dtype fp32" if dtype != "fp32" else "lower --cfg, or run `pochade doctor` on the model"


@torch.no_grad()
def measured_prediction(unet: UNet) -> Prediction:
    """What a UNet predicts, for models whose file does not say.

    Where all is noise, one that predicts the noise gives back what it is shown, and one that predicts v does not. The
    input and the threshold are A1111's, so that both tell the same of every file.
    """
    channels = unet.get_parameter("input_blocks.0.0.weight")
    keys = next(each for name, each in unet.named_parameters() if name.endswith("attn2.to_k.weight"))
    x = channels.new_full((1, channels.shape[1], 8, 8), 0.5)
    context = channels.new_full((1, 2, keys.shape[1]), 0.5)
    out = unet(x, channels.new_full((1,), _LAST_TIMESTEP, dtype=torch.float32), context)
    return "v" if float((out.float() - x.float()).mean()) < -1 else "epsilon"


def _recognised(weights: files.Weights, path: Path) -> tuple[Family, Variant]:
    """The family and the branch of a checkpoint. Raises MalformedFileError for what is none."""
    family = recognise(weights.shapes())
    if family is None:
        raise MalformedFileError(path, "this is no checkpoint of a known family; `pochade inspect` tells what it is.")
    variant = family.branch(weights.shapes())
    if variant is None:
        problem = f"this is a partial model, or one of a branch of {family.title} that is not known here"
        raise MalformedFileError(path, f"{problem}; `pochade inspect` tells what it holds.")
    return family, variant


def _resolution(weights: files.Weights, family: Family, prediction: Prediction) -> tuple[int, int]:
    """Width and height that the model was trained for, if a picture can have them."""
    width, height = resolution_of(weights, family, prediction)
    return (width, height) if is_side(width) and is_side(height) else (family.resolution, family.resolution)
