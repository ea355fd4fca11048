"""Names of OpenCLIP's text encoder: original (resblocks) and diffusers (encoder.layers).

The original packs the projections of queries, keys and values into one tensor, three times as high, and its
`text_projection` has the axes of diffusers' exchanged.
"""

import re
from collections.abc import Iterable

from pochade.files import LazyArray, Weights

_LAYER = re.compile(r"transformer\.resblocks\.(\d{1,4})\.(.+)")
_DIFFUSERS_LAYER = re.compile(r"text_model\.encoder\.layers\.(\d{1,4})\.")
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
_OUTER = {
    "positional_embedding": "text_model.embeddings.position_embedding.weight",
    "token_embedding.weight": "text_model.embeddings.token_embedding.weight",
    "ln_final.weight": "text_model.final_layer_norm.weight",
    "ln_final.bias": "text_model.final_layer_norm.bias",
    "text_projection": "text_projection.weight",
}


def to_diffusers(names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return the diffusers names of every original name that has some (both without the checkpoint's prefix).

    A packed projection has three: of queries, keys and values, in the order in which they lie.
    """
    found = {name: _names(name) for name in names}
    return {name: new for name, new in found.items() if new}


def in_diffusers_names(weights: Weights) -> Weights:
    """Return a text encoder in the original's names as diffusers has it, still lazy; what it has no place for is left
    out.
    """
    arrays: dict[str, LazyArray] = {}
    for old, new in to_diffusers(weights).items():
        tensor = weights.lazy(old)
        height = tensor.info.shape[0] // len(new)
        parts = [tensor.rows(at * height, (at + 1) * height) for at in range(len(new))] if len(new) > 1 else [tensor]
        arrays |= dict(zip(new, map(_turned, new, parts), strict=True))
    return Weights(arrays, weights.metadata, weights.path, weights.format, weights.extra)


def in_original_names(weights: Weights) -> Weights:
    """Return a text encoder in diffusers' names as the original has it, still lazy."""
    arrays: dict[str, LazyArray] = {}
    for old, new in _originals(weights).items():
        parts = [_turned(name, weights.lazy(name)) for name in new if name in weights]
        if len(parts) == len(new):
            arrays[old] = LazyArray.stacked(parts) if len(parts) > 1 else parts[0]
    return Weights(arrays, weights.metadata, weights.path, weights.format, weights.extra)


def _originals(names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return the original names of the layers that are there, each with its diffusers names."""
    layers = {found[1] for found in map(_DIFFUSERS_LAYER.match, names) if found}
    inner = [
        f"transformer.resblocks.{layer}.{part}" for layer in sorted(layers, key=int) for part in (*_INNER, *_PACKED)
    ]
    return to_diffusers([*_OUTER, *inner])


def _turned(name: str, tensor: LazyArray) -> LazyArray:
    return tensor.transposed() if name == _OUTER["text_projection"] else tensor


def _names(name: str) -> tuple[str, ...]:
    if name in _OUTER:
        return (_OUTER[name],)
    layer = _LAYER.fullmatch(name)
    if layer is None:
        return ()
    place = f"text_model.encoder.layers.{layer[1]}"
    if kind := _PACKED.get(layer[2]):
        return tuple(f"{place}.self_attn.{each}_proj.{kind}" for each in "qkv")
    return (f"{place}.{_INNER[layer[2]]}",) if layer[2] in _INNER else ()
