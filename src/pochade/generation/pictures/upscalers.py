"""Upscalers by name: plain resampling, and networks from model files."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from PIL import Image

from pochade import kinds
from pochade.errors import MissingFileError, NumericalError, UnknownNameError, UsageError
from pochade.events import Step
from pochade.files import Array
from pochade.generation.model import DTYPES, device_of, dtype_of
from pochade.generation.pictures.tiles import Tiles, enlarged
from pochade.networks.upscalers import UpscalerNetwork, load_upscaler

NONE, LANCZOS, NEAREST = "None", "Lanczos", "Nearest"
NAMES = (NONE, LANCZOS, NEAREST)
"""Upscalers that need no file, under A1111's names."""
MOST_PIXELS = 1 << 30
"""Of a picture that is made, on the way to the wanted size too."""
_MOST_PASSES = 3

Size = tuple[int, int]


class Upscaler(Protocol):
    """What makes pictures larger."""

    @property
    def name(self) -> str:
        """What people call it."""

    def enlarge(self, image: Image.Image, size: Size, tiles: Tiles) -> Generator[Step, None, Image.Image]:
        """Bring an RGB or RGBA picture to `size`; yields a Step after each tile."""


@dataclass(frozen=True)
class Resampler:
    """Pixels from their neighbours, without a model. A1111's "None" is no upscaler but the Lanczos after it."""

    name: str

    def enlarge(self, image: Image.Image, size: Size, tiles: Tiles) -> Generator[Step, None, Image.Image]:
        """Bring a picture to `size` at once."""
        yield from ()
        nearest = self.name == NEAREST
        return image.resize(size, Image.Resampling.NEAREST if nearest else Image.Resampling.LANCZOS)


@dataclass(frozen=True)
class ModelUpscaler:
    """A network that makes pictures a fixed number of times larger."""

    name: str
    network: UpscalerNetwork

    def enlarge(self, image: Image.Image, size: Size, tiles: Tiles) -> Generator[Step, None, Image.Image]:
        """Through the network until the picture is as large as `size`, three times at most, then Lanczos to it.

        Transparency goes through it too, as a grey picture.
        """
        passes = passes_for(image.size, size, self.network.scale)
        sizes = [_times(image.size, self.network.scale**number) for number in range(passes + 1)]
        check_size(sizes[-1])
        alpha = image.getchannel("A") if image.mode == "RGBA" else None
        total = sum(map(tiles.count, sizes[:-1])) * (1 if alpha is None else 2)
        steps = (Step(done, total, "tiles") for done in range(1, total + 1))
        picture = yield from self._passed(image.convert("RGB"), passes, tiles, steps)
        if alpha is not None:
            layer = yield from self._passed(alpha.convert("RGB"), passes, tiles, steps)
            picture.putalpha(layer.convert("L"))
        return picture if picture.size == size else picture.resize(size, Image.Resampling.LANCZOS)

    def _passed(
        self, image: Image.Image, passes: int, tiles: Tiles, steps: Iterator[Step]
    ) -> Generator[Step, None, Image.Image]:
        pixels: Array = np.asarray(image)
        for _ in range(passes):
            pixels = yield from enlarged(pixels, self.network.scale, tiles, self._run, steps)
        return Image.fromarray(pixels)

    @torch.inference_mode()
    def _run(self, pixels: Array) -> Array:
        """Pixels [h, w, 3], uint8, through the network; from the first overflow on in full precision."""
        weight = next(self.network.parameters())
        picture = torch.from_numpy(np.array(pixels)).to(weight.device).permute(2, 0, 1)[None].float() / 255
        result = self.network(picture.to(weight.dtype))[0].float()
        if not result.isfinite().all():
            if weight.dtype == torch.float32:
                raise NumericalError(f"The upscaler {self.name} gave NaN or infinity; use another one.")
            self.network.float()
            return self._run(pixels)
        rounded = (result.clamp(0, 1) * 255).round().to("cpu", torch.uint8)
        return np.ascontiguousarray(rounded.permute(1, 2, 0).numpy())


def upscaler_named(name: str, device: str = "auto", dtype: str = "auto") -> Upscaler:
    """The upscaler called `name`, in any case of letters, or the one in the model file at that path.

    Raises UnknownNameError for neither, FileError for a file that holds no upscaler.
    """
    known = {each.casefold(): each for each in NAMES}
    if name.casefold() in known:
        return Resampler(known[name.casefold()])
    path = Path(name)
    if path.is_file():
        weights = kinds.open_model(path)
        where = device_of(device)
        kind = dtype_of(dtype, where, sum(weights.info(each).size for each in weights))
        return ModelUpscaler(path.stem, load_upscaler(weights, where, DTYPES[kind]))
    if path.suffix or len(path.parts) > 1:
        raise MissingFileError(name, "there is no such upscaler file; check the path.")
    raise UnknownNameError("upscaler", name, NAMES)


def passes_for(size: Size, target: Size, scale: int) -> int:
    """How often a picture goes through a network until it is as large as wanted.

    One that is large enough already goes through once, for what the network mends; one that shall shrink does not.
    """
    growth = max(target[0] / size[0], target[1] / size[1])
    if growth < 1 or scale == 1:
        return int(growth >= 1)
    return next((count for count in range(1, _MOST_PASSES) if scale**count >= growth), _MOST_PASSES)


def check_size(size: Size) -> None:
    """Refuse a picture that no memory has room for."""
    if size[0] * size[1] > MOST_PIXELS:
        raise UsageError(f"A picture of {size[0]}x{size[1]} would be made, which is too large; choose a smaller size.")


def _times(size: Size, factor: int) -> Size:
    return size[0] * factor, size[1] * factor
