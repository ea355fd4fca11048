"""Small checkpoints of every special kind: the original's names, random weights, and sizes that tell what each is."""

from dataclasses import dataclass

import torch

from pochade import files
from pochade.networks import clip_shapes, openclip_shapes, unet_shapes, vae_shapes
from tests.families.manifests import part, shapes, without
from tests.networks.reduced import random_state, reduced

WIDE = 64
UNET, VAE, IMAGE, DEPTH = "model.diffusion_model.", "first_stage_model.", "embedder.model.visual.", "depth_model.model."
CLIP = {"cond_stage_model.transformer.": clip_shapes}
OPEN = {"cond_stage_model.model.": openclip_shapes}
BOTH = {"conditioner.embedders.0.transformer.": clip_shapes, "conditioner.embedders.1.model.": openclip_shapes}
BIG_G = {"conditioner.embedders.0.model.": openclip_shapes}
NUMBERS = 256  # the width of each that SDXL is told
LINEAR = ("proj_in.weight", "proj_out.weight")
_IMAGE_SIZES = {
    # 4 x 4 patches of a picture of 64 pixels
    "unclip-h": {1280: 64, 3840: 192, 5120: 256, 1024: WIDE, 257: 17, 14: 16},
    "unclip-l": {1024: 64, 3072: 192, 4096: 256, 768: WIDE * 3 // 4, 257: 17, 14: 16},
}
_DEPTH_SIZES = {64: 32, 128: 64, 256: 128, 512: 256, 1024: 512, 768: 64, 1536: 128, 2304: 192, 3072: 256, 577: 17}
_DEPTH_BLOCKS = {"model.blocks": 4, "stages.0.blocks": 1, "stages.1.blocks": 2, "stages.2.blocks": 1}


@dataclass(frozen=True)
class Kind:
    """A special kind: its text encoders, and of its UNet the channels, what it knows beside the text, and the form.

    `classes` is the width of what it is told beside, `numbers` how many numbers it can be told instead; `alone` are
    levels that look at the text alone.
    """

    text: dict
    channels: int = 4
    classes: int = 0
    numbers: int = 0
    linear: bool = True
    depth: int = 1
    multipliers: tuple[int, ...] = (1, 1)
    attention: tuple[int, ...] = (0, 1)
    blocks: int = 1
    alone: tuple[str, ...] = ()
    levels_of_vae: int = 4

    @property
    def context(self):
        return WIDE * len(self.text)


_XL = {"text": BOTH, "depth": 2, "attention": (1,), "classes": WIDE + 6 * NUMBERS}
_REFINER = {"text": BIG_G, "depth": 2, "multipliers": (1,) * 4, "attention": (1,), "blocks": 2}
KINDS = {
    "sd1-inpainting": Kind(CLIP, 9, linear=False),
    "sd2-inpainting": Kind(OPEN, 9),
    "sd2-depth": Kind(OPEN, 5),
    "ip2p": Kind(CLIP, 8, linear=False),
    "ip2p-xl": Kind(channels=8, **_XL),
    "x4-upscaler": Kind(
        OPEN, 7, numbers=1000, multipliers=(1, 2, 1), attention=(1, 2), levels_of_vae=3,
        alone=("input_blocks.3.", "output_blocks.2.", "output_blocks.3."),
    ),
    "unclip-h": Kind(OPEN, classes=2 * WIDE),
    "unclip-l": Kind(OPEN, classes=2 * WIDE * 3 // 4),
    "sdxl-inpainting": Kind(channels=9, **_XL),
    "sdxl-refiner": Kind(classes=WIDE + 5 * NUMBERS, **_REFINER),
}  # fmt: skip


def special(folder, name):
    """Write a model, and return its file."""
    kind = KINDS[name]
    every = {UNET: _unet(kind), VAE: vae_shapes(32, (1,) * kind.levels_of_vae, blocks=1)}
    every |= {prefix: text(WIDE, 2) for prefix, text in kind.text.items()} | _image_networks(name)
    state = random_state({prefix + inner: shape for prefix, each in every.items() for inner, shape in each.items()})
    if name == "unclip-l":
        state |= {
            "noise_augmentor.data_mean": torch.full((1, 48), 0.2),
            "noise_augmentor.data_std": torch.full((1, 48), 0.6),
        }
    _calm(state)
    return files.save(folder / f"{name}.safetensors", {name: tensor.numpy() for name, tensor in state.items()})


def _unet(kind):
    found = {}
    plain = unet_shapes(WIDE, kind.multipliers, kind.context, kind.attention, kind.blocks, kind.channels)
    for name, shape in plain.items():
        if kind.linear and name.endswith(LINEAR):
            shape = shape[:2]
        if name.startswith(kind.alone) and name.endswith(("attn1.to_k.weight", "attn1.to_v.weight")):
            shape = (shape[0], kind.context)
        number = ".transformer_blocks.0."
        found |= {name.replace(number, number.replace("0", str(block))): shape for block in range(kind.depth)}
    return found | _told(kind)


def _told(kind):
    time = 4 * WIDE
    if kind.numbers:
        return {"label_emb.weight": (kind.numbers, time)}
    if not kind.classes:
        return {}
    weights = {"label_emb.0.0.weight": (time, kind.classes), "label_emb.0.2.weight": (time, time)}
    return weights | {name.replace("weight", "bias"): (time,) for name in weights}


def _image_networks(name):
    if name in _IMAGE_SIZES:
        return {IMAGE: reduced(part(shapes(f"{name}.ldm"), IMAGE), _IMAGE_SIZES[name], {"resblocks": 2})}
    if name != "sd2-depth":
        return {}
    used = without(part(shapes("sd2-depth.ldm"), DEPTH), "pretrained.model.norm.", "pretrained.model.head.")
    return {DEPTH: reduced(used, _DEPTH_SIZES, _DEPTH_BLOCKS)}


def _calm(state):
    """Few pixels clip, the autoencoder's own noise is next to nothing, and most places have a depth above zero."""
    state[f"{VAE}decoder.conv_out.weight"] *= 0.4
    state[f"{VAE}quant_conv.weight"][4:] = 0.0
    state[f"{VAE}quant_conv.bias"][4:] = -30.0
    if f"{DEPTH}scratch.output_conv.4.bias" in state:
        state[f"{DEPTH}scratch.output_conv.4.bias"] += 2.0
