"""What a request will take, before it is drawn: memory by its model's header, time by how long others took."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from pochade import kinds
from pochade.errors import MalformedFileError
from pochade.families import Family, recognise
from pochade.files import Weights
from pochade.generation.locating import path_of
from pochade.generation.pictures.sizes import enlarged
from pochade.generation.request import Request
from pochade.jobs.queue import Queue
from pochade.jobs.timings import Timings, speed_class, work_of
from pochade.jobs.verbs import DRAWING
from pochade.kinds.resolution import resolution_of
from pochade.library.shipped import shipped_model

_BYTES = {"fp32": 4, "bf16": 2, "fp16": 2}
_FEATURES_OF_VAE = 4  # so many of its finest level, at its widest, are there at a time, as measured
_FEATURES_OF_UNET = 40  # of its first level, as measured with one of the first family
_MEMORY_INFO = Path("/proc/meminfo")


@dataclass(frozen=True)
class Estimate:
    """`fits` is False where a picture has to be drawn in tiles, with weights that come and go; None: nobody knows.

    `seconds` are those of the drawing, once the model is loaded. Networks that draw along are not counted.
    """

    memory_bytes: int
    fits: bool | None
    seconds: float | None


class _Sizes(NamedTuple):
    """What a header tells of a model: parameters of all networks and of the UNet, widths of the UNet and the VAE."""

    family: Family
    all: int
    unet: int
    unet_width: int
    vae_width: int
    resolution: tuple[int, int]


def estimate(request: Request, queue: Queue, folders: Sequence[Path] = ()) -> Estimate:
    """What a request will take on this machine, as far as the queue's history tells.

    Raises UsageError or FileError where its model cannot be used.
    """
    name = path_of("model", request, folders)
    sizes = _sizes(Path(name) if name else shipped_model())
    timings = Timings(queue.database)
    speed = speed_class(sizes.family, sizes.unet)
    earlier = timings.latest(speed, request.device)
    device = request.device if earlier is None else earlier.device
    dtype = request.dtype if request.dtype != "auto" else earlier.dtype if earlier else "fp32"
    width, height = request.width or sizes.resolution[0], request.height or sizes.resolution[1]
    request = replace(request, width=width, height=height)
    needed = _memory(request, sizes, _BYTES[dtype])
    free = earlier.capacity if device == "cuda" and earlier else _free_memory(queue)
    rate = timings.rate(speed, device, dtype, request.sampler or "")
    seconds = None if rate is None else round(rate * work_of(request), 1)
    return Estimate(needed, None if not free or device == "auto" else needed <= free, seconds)


def _sizes(path: Path) -> _Sizes:
    weights = kinds.open_model(path)
    family = recognise(weights.shapes())
    if family is None:
        raise MalformedFileError(path, "this is no checkpoint of a known family; `pochade inspect` tells what it is.")
    networks = (family.unet_prefix, family.vae_prefix, *(each.prefix for each in family.encoders))
    return _Sizes(
        family,
        _count(weights, networks),
        _count(weights, (family.unet_prefix,)),
        _channels(weights, f"{family.unet_prefix}input_blocks.0.0.weight", 0),
        _channels(weights, f"{family.vae_prefix}decoder.up.0.block.0.conv1.weight", 1),
        resolution_of(weights, family),
    )


def _count(weights: Weights, prefixes: tuple[str, ...]) -> int:
    """Parameters of networks."""
    return sum(weights.info(name).size for name in weights if name.startswith(prefixes))


def _channels(weights: Weights, name: str, axis: int) -> int:
    """How many channels a convolution makes (0) or takes (1); 0 where it is not there."""
    return weights.info(name).shape[axis] if name in weights else 0


def _memory(request: Request, sizes: _Sizes, width_of_number: int) -> int:
    """Bytes for the weights, and for the one network that works."""
    larger = enlarged(request)
    across, down = larger.size if larger else (request.width or 0, request.height or 0)
    cells = across * down // sizes.family.downscale**2
    unet = _FEATURES_OF_UNET * sizes.unet_width * cells * 2 * request.batch
    vae = _FEATURES_OF_VAE * sizes.vae_width * across * down
    return (sizes.all + max(unet, vae)) * width_of_number


def _free_memory(queue: Queue) -> int | None:
    """Main memory that nothing needs, and what the worker that draws has; None where the system does not tell."""
    if not _MEMORY_INFO.exists():
        return None
    lines = dict(line.split(":", 1) for line in _MEMORY_INFO.read_text().splitlines())
    free = int(lines["MemAvailable"].split()[0]) * 1024 if "MemAvailable" in lines else 0
    return free + _bytes_of(queue.places.lock(DRAWING).holder()) if free else None


def _bytes_of(process: int | None) -> int:
    """Main memory of a process; 0 where there is none."""
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0
