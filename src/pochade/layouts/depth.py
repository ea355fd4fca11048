"""Names of MiDaS's hybrid depth network: original (a ResNet and a ViT in timm's names) and diffusers (DPT).

The original packs queries, keys and values into one tensor, and counts its refining blocks from the fine end,
diffusers from the coarse one.
"""

import re
from collections.abc import Iterable, Mapping

from pochade.layouts.packing import Names
from pochade.layouts.renaming import renamed, reverse

_BLOCK, _LAYER = "pretrained.model.blocks", "dpt.encoder.layer"
_STAGES, _NEW_STAGES = "pretrained.model.patch_embed.backbone.stages", "dpt.embeddings.backbone.bit.encoder.stages"
_LEVELS = 4
_READ_OUT = (3, 4)  # levels that come from the ViT; the others come from the ResNet as they are
_FIXED = {
    "pretrained.model.cls_token": "dpt.embeddings.cls_token",
    "pretrained.model.pos_embed": "dpt.embeddings.position_embeddings",
    "pretrained.model.patch_embed.proj": "dpt.embeddings.projection",
    "pretrained.model.patch_embed.backbone.stem.conv": "dpt.embeddings.backbone.bit.embedder.convolution",
    "pretrained.model.patch_embed.backbone.stem.norm": "dpt.embeddings.backbone.bit.embedder.norm",
    "pretrained.model.norm": "dpt.layernorm",
    "scratch.output_conv": "head.head",
}
_INNER = {
    "norm1": "layernorm_before",
    "norm2": "layernorm_after",
    "attn.proj": "attention.output.dense",
    "mlp.fc1": "intermediate.dense",
    "mlp.fc2": "output.dense",
}
_UNITS = {"out_conv": "projection"} | {
    f"resConfUnit{unit}.conv{number}": f"residual_layer{unit}.convolution{number}"
    for unit in (1, 2)
    for number in (1, 2)
}
_BLOCKS = re.compile(rf"(?:{re.escape(_BLOCK)}|{re.escape(_LAYER)})\.(\d{{1,4}})\.")
_PLACES = re.compile(
    rf"(?:{re.escape(_STAGES)}|{re.escape(_NEW_STAGES)})\.(\d{{1,4}})\.(?:blocks|layers)\.(\d{{1,4}})\."
)


def to_diffusers(names: Iterable[str]) -> Names:
    """Return the diffusers names of every original name that has some (both without the checkpoint's prefix).

    A packed projection has three: of queries, keys and values, in the order in which they lie.
    """
    names = list(names)
    single = _changed(renamed(names, _modules(names)))
    packed = _packed(names)
    return {old: packed.get(old) or (single[old],) for old in names if old in packed or old in single}


def to_original(names: Iterable[str]) -> Names:
    """Return the original names of which all diffusers names are there, each with these."""
    names = list(names)
    single = _changed(renamed(names, reverse(_modules(names))))
    there = set(names)
    return {old: (new,) for new, old in single.items()} | {
        old: new for old, new in _packed(names).items() if there.issuperset(new)
    }


def _changed(names: Mapping[str, str]) -> dict[str, str]:
    return {old: new for old, new in names.items() if old != new}


def _packed(names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return the packed projections of those blocks that the names have."""
    return {
        f"{_BLOCK}.{block}.attn.qkv.{kind}": tuple(
            f"{_LAYER}.{block}.attention.attention.{each}.{kind}" for each in ("query", "key", "value")
        )
        for block in _blocks(names)
        for kind in ("weight", "bias")
    }


def _blocks(names: Iterable[str]) -> list[str]:
    return sorted({found[1] for found in map(_BLOCKS.match, names) if found}, key=int)


def _modules(names: Iterable[str]) -> dict[str, str]:
    """Return the table from original to diffusers modules, for those blocks that the names have."""
    names = list(names)
    table = dict(_FIXED)
    for block in _blocks(names):
        table |= {f"{_BLOCK}.{block}.{old}": f"{_LAYER}.{block}.{new}" for old, new in _INNER.items()}
    for stage, block in {(found[1], found[2]) for found in map(_PLACES.match, names) if found}:
        table[f"{_STAGES}.{stage}.blocks.{block}"] = f"{_NEW_STAGES}.{stage}.layers.{block}"
    for level in range(1, _LEVELS + 1):
        table |= _refining(level)
    for level in _READ_OUT:
        table |= _read_out(level)
    return table


def _refining(level: int) -> dict[str, str]:
    fusion = f"neck.fusion_stage.layers.{_LEVELS - level}"
    units = {f"scratch.refinenet{level}.{old}": f"{fusion}.{new}" for old, new in _UNITS.items()}
    return units | {f"scratch.layer{level}_rn": f"neck.convs.{level - 1}"}


def _read_out(level: int) -> dict[str, str]:
    old, new = f"pretrained.act_postprocess{level}", "neck.reassemble_stage"
    return {
        f"{old}.0.project.0": f"{new}.readout_projects.{level - 1}.0",
        f"{old}.3": f"{new}.layers.{level - 1}.projection",
        f"{old}.4": f"{new}.layers.{level - 1}.resize",
    }
