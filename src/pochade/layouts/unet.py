"""Names of the UNet: original (input_blocks, output_blocks) and diffusers (down_blocks, up_blocks).

The original counts blocks through all levels; diffusers counts levels, and resnets and attentions within each. Which
block belongs to which level is read from the names themselves, so any depth and any count of blocks is right.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from pochade.layouts.renaming import renamed, reverse

_FIXED = {
    "time_embed.0": "time_embedding.linear_1",
    "time_embed.2": "time_embedding.linear_2",
    "input_blocks.0.0": "conv_in",
    "out.0": "conv_norm_out",
    "out.2": "conv_out",
    "middle_block.1": "mid_block.attentions.0",
}
_CLASSES = {
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "class_embedding.linear_1": "label_emb.0.0",
    "class_embedding.linear_2": "label_emb.0.2",
    "class_embedding": "label_emb",
}
_DEEP = ".transformer_blocks.1."  # such UNets know sizes and crops beside classes, which diffusers names otherwise
_RESNET = {
    "in_layers.0": "norm1",
    "in_layers.2": "conv1",
    "emb_layers.1": "time_emb_proj",
    "out_layers.0": "norm2",
    "out_layers.3": "conv2",
    "skip_connection": "conv_shortcut",
}
_ORIGINAL = re.compile(r"(input|output)_blocks\.(\d{1,4})\.(\d{1,4})\.(\w+)\.")
_DIFFUSERS = re.compile(r"(down|up)_blocks\.(\d{1,4})\.(resnets|attentions|downsamplers|upsamplers)\.(\d{1,4})\.")
_WORD = re.compile(
    r"(input_blocks|output_blocks)(\d+)(\d)"
    r"|(middle_block|time_embed|transformer_blocks|in_layers|out_layers|emb_layers|label_emb|net|to_out|out)(\d)(\d)?"
    r"|skip_connection|label_emb|proj_in|proj_out|proj|norm[123]?|attn[12]|to_[qkv]|ff|op|conv|weight|bias"
)


@dataclass
class Level:
    """One resolution: for each resnet, whether attention follows it; and whether the level ends by resampling."""

    attentions: list[bool] = field(default_factory=list)
    resamples: bool = False


def to_diffusers(names: Iterable[str]) -> dict[str, str]:
    """Return the diffusers name of every original name (both without a prefix)."""
    names = list(names)
    return renamed(names, _modules(*_levels_of_original(names)) | _classes(names))


def to_original(names: Iterable[str]) -> dict[str, str]:
    """Return the original name of every diffusers name (both without a prefix)."""
    names = list(names)
    return renamed(names, reverse(_modules(*_levels_of_diffusers(names))) | _CLASSES)


def dotted(name: str) -> str:
    """Return an original name whose dots were taken out, as in moving averages, with its dots.

    Raises ValueError for a name that is not made of the original's words.
    """
    parts: list[str] = []
    position = 0
    while position < len(name):
        found = _WORD.match(name, position)
        if found is None:
            raise ValueError(f"{name[:200]!r} is no name of a UNet without its dots")
        parts += [part for part in found.groups() if part] or [found[0]]
        position = found.end()
    return ".".join(parts)


def _levels_of_original(names: Iterable[str]) -> tuple[list[Level], list[Level]]:
    blocks: dict[tuple[str, int], set[tuple[int, str]]] = defaultdict(set)
    for name in names:
        if found := _ORIGINAL.match(name):
            side, block, place, layer = found.groups()
            blocks[side, int(block)].add((int(place), layer))
    down, up = [Level()], [Level()]
    for side, block in sorted(blocks):
        layers = blocks[side, block]
        kinds = {layer for _, layer in layers}
        if side == "output":
            up[-1].attentions.append((1, "norm") in layers)
            if "conv" in kinds:
                up[-1].resamples = True
                up.append(Level())
        elif "op" in kinds:
            down[-1].resamples = True
            down.append(Level())
        elif block > 0:
            down[-1].attentions.append((1, "norm") in layers)
    return down, up


def _levels_of_diffusers(names: Iterable[str]) -> tuple[list[Level], list[Level]]:
    found: dict[tuple[str, int], dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    for name in names:
        if match := _DIFFUSERS.match(name):
            side, level, part, index = match.groups()
            found[side, int(level)][part].add(int(index))
    sides: dict[str, list[Level]] = {"down": [], "up": []}
    for side, level in sorted(found):
        parts = found[side, level]
        attentions = [index in parts["attentions"] for index in sorted(parts["resnets"])]
        sides[side].append(Level(attentions, bool(parts["downsamplers"] or parts["upsamplers"])))
    return sides["down"], sides["up"]


def _modules(down: list[Level], up: list[Level]) -> dict[str, str]:
    """Return the table from original to diffusers modules."""
    table = dict(_FIXED)
    for new, old in (("mid_block.resnets.0", "middle_block.0"), ("mid_block.resnets.1", "middle_block.2")):
        table |= _resnet(old, new)
    for old, new in [*_down(down), *_up(up)]:
        table |= _resnet(old, new) if ".resnets." in new else {old: new}
    return table


def _classes(names: list[str]) -> dict[str, str]:
    if "label_emb.weight" in names:
        return {"label_emb": "class_embedding"}
    embedding = "add_embedding" if any(_DEEP in name for name in names) else "class_embedding"
    return {"label_emb.0.0": f"{embedding}.linear_1", "label_emb.0.2": f"{embedding}.linear_2"}


def _resnet(old: str, new: str) -> dict[str, str]:
    return {f"{old}.{each}": f"{new}.{other}" for each, other in _RESNET.items()}


def _down(levels: list[Level]) -> Iterator[tuple[str, str]]:
    block = 1
    for number, level in enumerate(levels):
        for index, attention in enumerate(level.attentions):
            yield f"input_blocks.{block}.0", f"down_blocks.{number}.resnets.{index}"
            if attention:
                yield f"input_blocks.{block}.1", f"down_blocks.{number}.attentions.{index}"
            block += 1
        if level.resamples:
            yield f"input_blocks.{block}.0.op", f"down_blocks.{number}.downsamplers.0.conv"
            block += 1


def _up(levels: list[Level]) -> Iterator[tuple[str, str]]:
    block = 0
    for number, level in enumerate(levels):
        for index, attention in enumerate(level.attentions):
            yield f"output_blocks.{block}.0", f"up_blocks.{number}.resnets.{index}"
            if attention:
                yield f"output_blocks.{block}.1", f"up_blocks.{number}.attentions.{index}"
            if level.resamples and index == len(level.attentions) - 1:
                yield f"output_blocks.{block}.{1 + attention}.conv", f"up_blocks.{number}.upsamplers.0.conv"
            block += 1
