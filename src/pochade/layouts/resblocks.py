"""Names of CLIP's transformers, of text and of images: the original's (resblocks) and diffusers' (encoder.layers)."""

import re
from collections.abc import Iterable, Mapping

from pochade.layouts.packing import Names

_LAYER = re.compile(r"transformer\.resblocks\.(\d{1,4})\.(.+)")
_INNER = {
    "ln_1.weight": "layer_norm1.weight",
    "ln_1.bias": "layer_norm1.bias",
    "ln_2.weight": "layer_norm2.weight",
    "ln_2.bias": "layer_norm2.bias",
    "attn.out_proj.weight": "self_attn.out_proj.weight",
    "attn.out_proj.bias": "self_attn.out_proj.bias",
    "mlp.c_fc.weight": "mlp.fc1.weight",
    "mlp.c_fc.bias": "mlp.fc1.bias",
    "mlp.c_proj.weight": "mlp.fc2.weight",
    "mlp.c_proj.bias": "mlp.fc2.bias",
}
_PACKED = {"attn.in_proj_weight": "weight", "attn.in_proj_bias": "bias"}
_PARTS = (*_INNER, *_PACKED)


def to_diffusers(names: Iterable[str], root: str, outer: Mapping[str, str]) -> Names:
    """Return the diffusers names of every original name that has some (both without the checkpoint's prefix).

    `root` is diffusers' module around the layers, `outer` the names of what stands beside them.
    """
    found = {name: (outer[name],) if name in outer else _in_layer(name, root) for name in names}
    return {name: new for name, new in found.items() if new}


def to_original(names: Iterable[str], root: str, outer: Mapping[str, str]) -> Names:
    """Return the original names of which all diffusers names are there, each with these."""
    names = set(names)
    layer = re.compile(rf"{root}\.encoder\.layers\.(\d{{1,4}})\.")
    numbers = {found[1] for found in map(layer.match, names) if found}
    inner = [f"transformer.resblocks.{number}.{part}" for number in sorted(numbers, key=int) for part in _PARTS]
    known = to_diffusers([*outer, *inner], root, outer)
    return {old: new for old, new in known.items() if names.issuperset(new)}


def _in_layer(name: str, root: str) -> tuple[str, ...]:
    layer = _LAYER.fullmatch(name)
    if layer is None:
        return ()
    place = f"{root}.encoder.layers.{layer[1]}"
    if kind := _PACKED.get(layer[2]):
        return tuple(f"{place}.self_attn.{each}_proj.{kind}" for each in "qkv")
    return (f"{place}.{_INNER[layer[2]]}",) if layer[2] in _INNER else ()
