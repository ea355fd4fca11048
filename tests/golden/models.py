"""The small models with which the golden pictures were recorded, made anew from a formula.

True names at reduced width. All numbers come from raw PCG64 words by exact integer sums, so they are the same on every
platform. The weights are shaped so that the noisy input reaches the output and the text has a strong effect.
"""

import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pochade import files
from tests.families.manifests import shapes

SEED = 20240727
UNET, VAE = "model.diffusion_model.", "first_stage_model."
_NEEDLESS = re.compile(r"model_ema\..*|.*position_ids|.*logit_scale|[^.]+")  # moving averages, schedules
_LAST_BLOCK = re.compile(r"output_blocks\.(\d+)\.0\.skip_connection\.weight")
_RESIDUAL = (
    *("out_layers.3.weight", "proj_out.weight", "to_out.0.weight", "ff.net.2.weight"),
    *("conv2.weight", "out_proj.weight", "mlp.fc2.weight", "mlp.c_proj.weight"),
)
# first match wins
_GAINS = (
    (("emb_layers.1.weight",), 3.0),
    (("attn2.to_k.weight", "attn2.to_q.weight"), 1.5),
    (("out_layers.3.weight",), 0.7),
    (("attn2.to_out.0.weight",), 2.0),
    (_RESIDUAL, 0.35),
    (("",), 1.0),
)


@dataclass(frozen=True)
class Kind:
    """A release made narrow: its recorded key list, and for each part what its widths are multiples of, then and now.

    `others` are sizes that are no such multiples, of what the UNet is told. `predicts_v` is written into the metadata,
    and such a model's output is smaller.
    """

    manifest: str
    letter: str
    parts: Mapping[str, tuple[int, int]]
    others: Mapping[int, int]
    latent_scale: float = 0.18215
    predicts_v: bool = False


_CLIP = {UNET: (320, 32), VAE: (128, 32), "cond_stage_model.": (768, 128)}
_OPEN = {UNET: (320, 64), VAE: (128, 32), "cond_stage_model.": (1024, 128)}
_BOTH = {
    UNET: (320, 32),
    VAE: (128, 32),
    "conditioner.embedders.0.": (768, 128),
    "conditioner.embedders.1.": (1280, 192),
}
KINDS = {
    "goldsd1": Kind("sd15", "A", _CLIP, {768: 128}),
    "goldsecond": Kind("sd15", "B", _CLIP, {768: 128}),
    "goldinpaint": Kind("sd15-inpainting", "C", _CLIP, {768: 128}),
    "goldip2p": Kind("ip2p", "D", _CLIP, {768: 128}),
    "goldsd2v": Kind("sd2-v", "E", _OPEN, {1024: 128}, predicts_v=True),
    "goldxl": Kind("sdxl-base", "F", _BOTH, {2048: 320, 2816: 1728}, 0.13025),
}


def make(folder: Path, name: str) -> Path:
    """Write a model, if it is not there yet, and return its file."""
    path = folder / f"{name}.safetensors"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        metadata = {"modelspec.prediction_type": "v"} if KINDS[name].predicts_v else None
        files.save(path, checkpoint(KINDS[name]), metadata)
    return path


def make_vae(folder: Path) -> Path:
    """Write a VAE for the SD 1 models, in full precision, and return its file."""
    path = folder / "alt-vae.safetensors"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        sizes = {name: shape for name, shape in _sizes(KINDS["goldsd1"]).items() if name.startswith(VAE)}
        values = {name: _value(f"V/{name.removeprefix(VAE)}", name, shape) for name, shape in sizes.items()}
        _calm_vae(values, KINDS["goldsd1"].latent_scale)
        files.save(path, {name.removeprefix(VAE): value.astype(np.float32) for name, value in values.items()})
    return path


def checkpoint(kind: Kind) -> dict[str, np.ndarray]:
    """One model's tensors in half precision."""
    values = {name: _value(f"{kind.letter}/{name}", name, shape) for name, shape in _sizes(kind).items()}
    _pass_input_through(values, 0.6 if kind.predicts_v else 1.0)
    _calm_vae(values, kind.latent_scale)
    return {name: value.astype(np.float16) for name, value in values.items()}


def _sizes(kind: Kind) -> dict[str, tuple[int, ...]]:
    return {
        name: tuple(_narrow(kind, name, size) for size in shape)
        for name, shape in shapes(f"{kind.manifest}.ldm").items()
        if not _NEEDLESS.fullmatch(name)
    }


def _narrow(kind: Kind, name: str, size: int) -> int:
    true, small = next(units for part, units in kind.parts.items() if name.startswith(part))
    return kind.others.get(size, size) if size % true else size // true * small


def _gauss(key: str, shape: tuple[int, ...], std: float, mean: float = 0.0) -> np.ndarray:
    """Sums of four 16-bit words: nearly normal, and exact in double precision."""
    words = np.random.PCG64(np.random.SeedSequence([SEED, zlib.crc32(key.encode())])).random_raw(int(np.prod(shape)))
    sums = sum(((words >> np.uint64(shift)) & np.uint64(0xFFFF)).astype(np.int64) for shift in (0, 16, 32, 48))
    return ((sums - 131070).astype(np.float64) * (std * 2.6428571428571428e-05) + mean).reshape(shape)


def _value(key: str, name: str, shape: tuple[int, ...]) -> np.ndarray:
    if name.endswith("token_embedding.weight"):
        return _gauss(key, shape, 0.3)
    if name.endswith(("position_embedding.weight", "positional_embedding")):
        return _gauss(key, shape, 0.1)
    if len(shape) >= 2:
        gain = next(gain for endings, gain in _GAINS if name.endswith(endings))
        return _gauss(key, shape, gain / int(np.prod(shape[1:])) ** 0.5)
    return _gauss(key, shape, 0.1, 1.0) if name.endswith("weight") else _gauss(key, shape, 0.05)


def _pass_input_through(values: dict[str, np.ndarray], share: float) -> None:
    """Lead the noisy input on pairs of channels, plus and minus, through the last skip connection to the output."""
    last = max(int(found[1]) for found in map(_LAST_BLOCK.search, values) if found)
    first, output = values[f"{UNET}input_blocks.0.0.weight"], values[f"{UNET}out.2.weight"]
    skip = values[f"{UNET}output_blocks.{last}.0.skip_connection.weight"]
    width = first.shape[0]
    first[:8] = 0
    values[f"{UNET}input_blocks.0.0.bias"][:8] = 0
    values[f"{UNET}output_blocks.{last}.0.skip_connection.bias"][:8] = 0
    skip[:8] *= 0.3
    output *= 0.5
    output[:, :8] = 0
    values[f"{UNET}out.2.bias"] *= 0.5
    values[f"{UNET}out.0.weight"][:8] = 1.0
    values[f"{UNET}out.0.bias"][:8] = 0.0
    for name in (f"output_blocks.{last}.0.out_layers.3.weight", f"output_blocks.{last}.1.proj_out.weight"):
        if UNET + name in values:
            values[UNET + name][:8] *= 0.3
    for channel in range(4):
        first[channel, channel, 1, 1], first[4 + channel, channel, 1, 1] = 1.0, -1.0
        skip[channel, skip.shape[1] - width + channel] = 1.0
        skip[4 + channel, skip.shape[1] - width + 4 + channel] = 1.0
        output[channel, channel, 1, 1], output[channel, 4 + channel, 1, 1] = 1.0, -1.0
    output *= share


def _calm_vae(values: dict[str, np.ndarray], latent_scale: float) -> None:
    """Few pixels clip, and the encoder's own noise is next to nothing."""
    values[f"{VAE}decoder.conv_out.weight"] *= 0.55
    values[f"{VAE}quant_conv.weight"][:4] *= 1.6 / latent_scale * 0.5
    values[f"{VAE}quant_conv.weight"][4:] *= 0.01
    values[f"{VAE}quant_conv.bias"][4:] = -30.0
