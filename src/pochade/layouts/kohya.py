"""Names of modules in kohya's LoRA files: paths with underscores for dots, diffusers' ones or, in SDXL, the original's.

Where a model is at hand, a table of its own modules takes the underscores apart. Without one, the words of which paths
are made do so; and since a LoRA tells little of how its UNet is built, the blocks are counted as in every Stable
Diffusion.
"""

import re
from collections.abc import Iterator
from functools import cache

from pochade.layouts import unet
from pochade.layouts.renaming import renamed, reverse

_WORDS = (
    "down_blocks", "mid_block", "up_blocks", "input_blocks", "middle_block", "output_blocks", "transformer_blocks",
    "resnets", "attentions", "downsamplers", "upsamplers", "conv_in", "conv_out", "conv_norm_out", "conv_shortcut",
    "conv1", "conv2", "conv", "op", "skip_connection", "in_layers", "out_layers", "emb_layers", "out",
    "time_embedding", "time_emb_proj", "time_embed", "add_embedding", "class_embedding", "label_emb", "linear_1",
    "linear_2", "norm", "norm1", "norm2", "norm3", "proj_in", "proj_out", "proj", "attn1", "attn2", "to_q", "to_k",
    "to_v", "to_out", "ff", "net",
    "text_model", "embeddings", "token_embedding", "position_embedding", "encoder", "layers", "self_attn", "q_proj",
    "k_proj", "v_proj", "out_proj", "mlp", "fc1", "fc2", "layer_norm1", "layer_norm2", "final_layer_norm",
    "text_projection",
)  # fmt: skip
_WORD = re.compile(rf"(?:{'|'.join(sorted(_WORDS, key=len, reverse=True))}|\d+)(?:_|$)")
_LEVELS, _RESNETS = 4, 2
_OUTER = ("conv_in", "conv_norm_out", "conv_out", "time_embedding.linear_1", "time_embedding.linear_2",
          "add_embedding.linear_1", "add_embedding.linear_2", "mid_block.attentions.0")  # fmt: skip
_IN_RESNET = ("norm1", "conv1", "time_emb_proj", "norm2", "conv2", "conv_shortcut")


def dotted(name: str) -> str | None:
    """Return a module's path of a name without its prefix; None where it is not made of known words.

    >>> dotted("mid_block_attentions_0_transformer_blocks_0_attn1_to_out_0")
    'mid_block.attentions.0.transformer_blocks.0.attn1.to_out.0'
    """
    words: list[str] = []
    position = 0
    while position < len(name):
        found = _WORD.match(name, position)
        if found is None:
            return None
        words.append(found[0].removesuffix("_"))
        position = found.end()
    return ".".join(words)


def diffusers_path(path: str) -> str:
    """Return the path in diffusers of a UNet's module, given by its path there or in the original."""
    return renamed([path], reverse(_originals()))[path]


def original_path(path: str) -> str:
    """Return the path in the original of a UNet's module, given by its path there or in diffusers."""
    return renamed([path], _originals())[path]


@cache
def _originals() -> dict[str, str]:
    """Return the original path of every module in diffusers."""
    names = unet.to_original(f"{module}." for module in _skeleton())  # it takes names of what lies inside
    return {new.removesuffix("."): old.removesuffix(".") for new, old in names.items()}


def _skeleton() -> Iterator[str]:
    """Yield the modules of a UNet as large as any of Stable Diffusion.

    There is attention at every level: where a level has none, that only tells where its upsampler stands, and SDXL, the
    only one to go by the original's names, has attention wherever it has an upsampler.
    """
    yield from _OUTER
    yield from _resnets("mid_block", 2)
    for level in range(_LEVELS):
        for side, count, sampler in (("down", _RESNETS, "downsamplers"), ("up", _RESNETS + 1, "upsamplers")):
            place = f"{side}_blocks.{level}"
            yield from _resnets(place, count)
            yield from (f"{place}.attentions.{index}" for index in range(count))
            if level < _LEVELS - 1:
                yield f"{place}.{sampler}.0.conv"


def _resnets(place: str, count: int) -> Iterator[str]:
    return (f"{place}.resnets.{index}.{inner}" for index in range(count) for inner in _IN_RESNET)
