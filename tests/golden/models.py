"""The small models with which the golden pictures were recorded, made anew from a formula.

True SD 1 names at reduced width. All numbers come from raw PCG64 words by exact integer sums, so they are the same on
every platform. The weights are shaped so that the noisy input reaches the output and the text has a strong effect.
"""

import zlib
from pathlib import Path

import numpy as np

from pochade import files
from pochade.networks import clip_shapes, unet_shapes, vae_shapes

SEED = 20240727
MODELS = {"goldsd1": "A", "goldsecond": "B"}
UNET, VAE, TEXT = "model.diffusion_model.", "first_stage_model.", "cond_stage_model.transformer."
_RESIDUAL = (
    *("out_layers.3.weight", "proj_out.weight", "to_out.0.weight", "ff.net.2.weight"),
    *("conv2.weight", "out_proj.weight", "mlp.fc2.weight"),
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


def make(folder: Path) -> None:
    """Write the models that are not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, letter in MODELS.items():
        path = folder / f"{name}.safetensors"
        if not path.exists():
            files.save(path, checkpoint(letter))


def checkpoint(letter: str) -> dict[str, np.ndarray]:
    """One model's tensors in half precision."""
    shapes = {f"{UNET}{name}": shape for name, shape in unet_shapes(32, (1, 2, 4, 4), 128, (0, 1, 2)).items()}
    shapes |= {f"{VAE}{name}": shape for name, shape in vae_shapes(32, (1, 2, 4, 4)).items()}
    shapes |= {f"{TEXT}{name}": shape for name, shape in clip_shapes(128, 12).items()}
    values = {name: _value(f"{letter}/{name}", name, shape) for name, shape in shapes.items()}
    _pass_input_through(values)
    _calm_vae(values)
    return {name: value.astype(np.float16) for name, value in values.items()}


def _gauss(key: str, shape: tuple[int, ...], std: float, mean: float = 0.0) -> np.ndarray:
    """Sums of four 16-bit words: nearly normal, and exact in double precision."""
    words = np.random.PCG64(np.random.SeedSequence([SEED, zlib.crc32(key.encode())])).random_raw(int(np.prod(shape)))
    sums = sum(((words >> np.uint64(shift)) & np.uint64(0xFFFF)).astype(np.int64) for shift in (0, 16, 32, 48))
    return ((sums - 131070).astype(np.float64) * (std * 2.6428571428571428e-05) + mean).reshape(shape)


def _value(key: str, name: str, shape: tuple[int, ...]) -> np.ndarray:
    if name.endswith("token_embedding.weight"):
        return _gauss(key, shape, 0.3)
    if name.endswith("position_embedding.weight"):
        return _gauss(key, shape, 0.1)
    if len(shape) >= 2:
        gain = next(gain for endings, gain in _GAINS if name.endswith(endings))
        return _gauss(key, shape, gain / int(np.prod(shape[1:])) ** 0.5)
    return _gauss(key, shape, 0.1, 1.0) if name.endswith("weight") else _gauss(key, shape, 0.05)


def _pass_input_through(values: dict[str, np.ndarray]) -> None:
    """Lead the noisy input on pairs of channels, plus and minus, through the last skip connection to the output."""
    first, output = values[f"{UNET}input_blocks.0.0.weight"], values[f"{UNET}out.2.weight"]
    skip = values[f"{UNET}output_blocks.11.0.skip_connection.weight"]
    width = first.shape[0]
    first[:8] = 0
    values[f"{UNET}input_blocks.0.0.bias"][:8] = 0
    values[f"{UNET}output_blocks.11.0.skip_connection.bias"][:8] = 0
    skip[:8] *= 0.3
    output *= 0.5
    output[:, :8] = 0
    values[f"{UNET}out.2.bias"] *= 0.5
    values[f"{UNET}out.0.weight"][:8] = 1.0
    values[f"{UNET}out.0.bias"][:8] = 0.0
    for name in ("output_blocks.11.0.out_layers.3.weight", "output_blocks.11.1.proj_out.weight"):
        values[UNET + name][:8] *= 0.3
    for channel in range(4):
        first[channel, channel, 1, 1], first[4 + channel, channel, 1, 1] = 1.0, -1.0
        skip[channel, skip.shape[1] - width + channel] = 1.0
        skip[4 + channel, skip.shape[1] - width + 4 + channel] = 1.0
        output[channel, channel, 1, 1], output[channel, 4 + channel, 1, 1] = 1.0, -1.0


def _calm_vae(values: dict[str, np.ndarray]) -> None:
    """Few pixels clip, and the encoder's own noise is next to nothing."""
    values[f"{VAE}decoder.conv_out.weight"] *= 0.55
    values[f"{VAE}quant_conv.weight"][:4] *= 1.6 / 0.18215 * 0.5
    values[f"{VAE}quant_conv.weight"][4:] *= 0.01
    values[f"{VAE}quant_conv.bias"][4:] = -30.0
